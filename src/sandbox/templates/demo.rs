//! The templates that the number has from the start.

use serde_json::{Value, json};

/// One of each category: plain text, a picture with buttons, a one-time password.
pub(in crate::sandbox) fn templates() -> Vec<Value> {
    vec![
        json!({"name": "order_ready", "language": "en", "category": "UTILITY", "components": [
            {"type": "BODY", "text": "Hello {{1}}, your order {{2}} is ready.",
                "example": {"body_text": [["Ada", "ORD-001"]]}},
            {"type": "FOOTER", "text": "Reply STOP to hear no more of us."},
        ]}),
        json!({"name": "order_ready", "language": "de", "category": "UTILITY", "components": [
            {"type": "BODY", "text": "Guten Tag {{1}}, Ihre Bestellung {{2}} ist fertig.",
                "example": {"body_text": [["Ada", "ORD-001"]]}},
            {"type": "FOOTER", "text": "Antworten Sie STOP, um nichts mehr zu erhalten."},
        ]}),
        json!({"name": "appointment", "language": "en", "category": "UTILITY", "parameter_format": "NAMED", "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Your visit, {{name}}",
                "example": {"header_text_named_params": [{"param_name": "name", "example": "Ada"}]}},
            {"type": "BODY", "text": "We expect you on {{day}} at {{time}} at the plant.",
                "example": {"body_text_named_params": [
                    {"param_name": "day", "example": "Monday"}, {"param_name": "time", "example": "9:00"}]}},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "I will be there"}, {"type": "QUICK_REPLY", "text": "Another day"}]},
        ]}),
        json!({"name": "spring_offer", "language": "en", "category": "MARKETING", "components": [
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW1hZ2UvanBlZw=="]}},
            {"type": "BODY", "text": "Spring at the plant, {{1}}: all gears at {{2}} off until Sunday.",
                "example": {"body_text": [["Ada", "20 %"]]}},
            {"type": "FOOTER", "text": "Reply STOP to hear no more of us."},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Tell me more"},
                {"type": "URL", "text": "See the offer", "url": "https://example.com/offers/{{1}}",
                    "example": ["https://example.com/offers/spring"]},
                {"type": "COPY_CODE", "example": "SPRING20"}]},
        ]}),
        json!({"name": "sign_in_code", "language": "en", "category": "AUTHENTICATION", "components": [
            {"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy code"}]},
        ]}),
    ]
}
