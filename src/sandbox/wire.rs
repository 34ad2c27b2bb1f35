//! The bytes that Meta puts on the wire, and their signature.
//!
//! Meta's webhook bodies were captured in 2026 with `/` written `\/` and everything outside ASCII written as lowercase
//! `\uXXXX`, the way PHP's `json_encode` does. A receiver that hashes a re-serialised body fails on exactly those
//! characters, so the local Meta has to write them too.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;
use sha2::Sha256;

/// The header that carries the signature (Meta, "Create a webhook endpoint").
pub(super) const SIGNATURE_HEADER: &str = "X-Hub-Signature-256";

struct PhpStyle;

impl Formatter for PhpStyle {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            match character {
                '/' => writer.write_all(b"\\/")?,
                plain if plain.is_ascii() => {
                    writer.write_all(&[u8::try_from(plain).map_err(io::Error::other)?])?
                }
                wide => {
                    for unit in wide.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// `value` as Meta would write it.
pub(super) fn to_wire(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PhpStyle))
        .expect("a JSON value has string keys, and a Vec takes every byte");
    bytes
}

/// The value of [`SIGNATURE_HEADER`]: `sha256=` and the lowercase hex of HMAC-SHA256 over the raw body, keyed with the
/// app secret.
pub(super) fn sign(app_secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    let mut header = String::from("sha256=");
    header.extend(mac.finalize().into_bytes().iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]));
    header
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slashes_and_everything_outside_ascii_are_escaped_as_on_metas_wire() {
        let body =
            to_wire(&json!({"mime": "image/jpeg", "text": "caf\u{e9} \u{1f600} <&> \"q\" \\ \n\u{7f}"}));
        let expected =
            "{\"mime\":\"image\\/jpeg\",\"text\":\"caf\\u00e9 \\ud83d\\ude00 <&> \\\"q\\\" \\\\ \\n\u{7f}\"}";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn what_was_escaped_reads_back_as_it_was() {
        let value = json!({"k/\u{fc}": ["a/b", 1.5, null, true, "\u{10ffff}"]});
        assert_eq!(serde_json::from_slice::<Value>(&to_wire(&value)).unwrap(), value);
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_agrees_with_the_published_test_vector() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
