//! The content of a file as an answer: never shown in place, never guessed at, in whole or one range of it. What people
//! send is not to be trusted, and the browser of whoever looks at it least of all.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, Charset, ContentDisposition,
    DispositionParam, DispositionType, ETAG, ExtendedValue, HeaderValue, RANGE,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use futures_util::TryStreamExt as _;

use super::problem::Problem;
use crate::media::types::{ending, is_mime_type};
use crate::media::vault::Bytes;
use crate::store::StoredMedia;

/// Characters of a name that are shown.
const NAME_MAX: usize = 120;

/// A range that begins behind the end.
pub(super) struct Unsatisfiable;

/// The range of `size` bytes that is asked for: `bytes=0-99`, `bytes=100-` or `bytes=-100`. What is none of these, and
/// several ranges at once, is answered with the whole, as RFC 9110 (14.2) allows.
pub(super) fn range(request: &HttpRequest, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let header = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(last)) if first.is_empty() => size.saturating_sub(last)..size,
        _ => return Ok(None),
    };
    if range.is_empty() { Err(Unsatisfiable) } else { Ok(Some(range)) }
}

/// 416, with the size that there is.
pub(super) fn unsatisfiable(size: u64) -> HttpResponse {
    let problem = Problem::range(format!("the file has {size} bytes, and the range begins behind them"));
    let mut answer = problem.error_response();
    let there = HeaderValue::from_str(&format!("bytes */{size}")).expect("letters and digits");
    answer.headers_mut().insert(CONTENT_RANGE, there);
    answer
}

/// The answer that carries `bytes`, which are `range` of the file's `size` bytes.
pub(super) fn answer(file: &StoredMedia, size: u64, range: Option<Range<u64>>, bytes: Bytes) -> HttpResponse {
    let mime_type = file.mime_type.as_deref().filter(|text| is_mime_type(text));
    let length = range.as_ref().map_or(size, |range| range.end - range.start);
    let mut answer = HttpResponse::Ok();
    if let Some(range) = &range {
        let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        answer.status(StatusCode::PARTIAL_CONTENT).insert_header((CONTENT_RANGE, place));
    }
    if let Some(sha256) = &file.sha256 {
        answer.insert_header((ETAG, format!("\"{sha256}\"")));
    }
    answer
        .insert_header((CONTENT_TYPE, mime_type.unwrap_or("application/octet-stream")))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header(disposition(&name(file)))
        .body(SizedStream::new(length, bytes.map_ok(actix_web::web::Bytes::from)))
}

fn disposition(name: &str) -> ContentDisposition {
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut parameters = vec![DispositionParam::Filename(ascii.clone())];
    if ascii != name {
        parameters.push(DispositionParam::FilenameExt(ExtendedValue {
            charset: Charset::Ext("UTF-8".to_owned()),
            language_tag: None,
            value: name.as_bytes().to_vec(),
        }));
    }
    ContentDisposition { disposition: DispositionType::Attachment, parameters }
}

/// The name under which it is saved: its own without what leads out of a folder or ends a header, or one made of its id.
fn name(file: &StoredMedia) -> String {
    let own = file.filename.as_deref().unwrap_or_default();
    let safe: String = own
        .chars()
        .map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c })
        .filter(|c| !is_invisible(*c))
        .take(NAME_MAX)
        .collect();
    let safe = safe.trim().trim_start_matches('.');
    if safe.is_empty() {
        return format!("{}.{}", file.id, ending(file.mime_type.as_deref().unwrap_or_default()));
    }
    safe.to_owned()
}

/// Marks that turn the direction of text, by which `exe.jpg` is made of `gpj.exe`, and such without width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::ids::MediaId;
    use crate::store::MediaState;

    fn file(filename: Option<&str>) -> StoredMedia {
        StoredMedia {
            id: MediaId(7),
            direction: "in".into(),
            state: MediaState::Ready,
            kind: "image".into(),
            phone_number_id: None,
            meta_id: None,
            mime_type: Some("image/jpeg".into()),
            filename: filename.map(str::to_owned),
            promised: None,
            sha256: None,
            size: Some(9),
            attempts: 0,
            reason: None,
            created_at: 0,
            ready_at: None,
        }
    }

    #[test]
    fn a_name_leads_nowhere_and_ends_no_header() {
        for (given, shown) in [
            (None, "med_7.jpg"),
            (Some(""), "med_7.jpg"),
            (Some("../../etc/passwd"), "_.._etc_passwd"),
            (Some("a\r\nSet-Cookie: x\".pdf"), "a__Set-Cookie_ x_.pdf"),
            (Some("\u{202e}gpj.exe"), "gpj.exe"),
            (Some("Rechnung Müller.pdf"), "Rechnung Müller.pdf"),
        ] {
            assert_eq!(name(&file(given)), shown, "{given:?}");
        }
        let header = disposition("Müller.pdf").to_string();
        assert_eq!(header, "attachment; filename=\"M_ller.pdf\"; filename*=UTF-8''M%C3%BCller.pdf");
    }

    #[test]
    fn one_range_is_understood_and_what_is_none_is_the_whole() {
        let asked = |header: &str| {
            let request = TestRequest::get().insert_header((RANGE, header)).to_http_request();
            range(&request, 10).map_err(|_| "behind the end")
        };
        assert_eq!(asked("bytes=0-3"), Ok(Some(0..4)));
        assert_eq!(asked("bytes=4-"), Ok(Some(4..10)));
        assert_eq!(asked("bytes=-3"), Ok(Some(7..10)));
        assert_eq!(asked("bytes=8-99"), Ok(Some(8..10)));
        for whole in ["bytes=", "bytes=3-1", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"] {
            assert_eq!(asked(whole), Ok(None), "{whole}");
        }
        for behind in ["bytes=10-", "bytes=-0", "bytes=10-11"] {
            assert_eq!(asked(behind), Err("behind the end"), "{behind}");
        }
    }
}
