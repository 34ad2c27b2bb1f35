//! Reads a `multipart/form-data` body that is wholly there (RFC 7578, RFC 2046 section 5.1).

use actix_web::web::Bytes;

/// Parts that a body can have.
const PARTS_MAX: usize = 16;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) bytes: Bytes,
}

impl Part {
    /// The value of a field that is text, without quotes that some clients leave around it.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().trim_matches('"').to_owned()
    }
}

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// The parts between the boundaries, or `None` when the body is cut off or not well formed.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("--{boundary}");
    // Whatever stands before the first delimiter is to be ignored.
    let mut at = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    let next = format!("\r\n{delimiter}");
    let mut parts = Vec::new();
    loop {
        if body.get(at..at + 2)? == b"--" {
            return Some(parts);
        }
        let start = find(body, b"\r\n", at)? + 2;
        let end = find(body, next.as_bytes(), start - 2)?;
        if parts.len() >= PARTS_MAX {
            return None;
        }
        parts.push(part(body, start, end.max(start))?);
        at = end + next.len();
    }
}

fn part(body: &Bytes, start: usize, end: usize) -> Option<Part> {
    // A part without headers begins with the empty line that ends them.
    let head_end = find(body, b"\r\n\r\n", start.saturating_sub(2)).filter(|at| at + 4 <= end)?;
    let head = std::str::from_utf8(body.get(start..head_end.max(start))?).ok()?;
    let mut part = Part { bytes: body.slice(head_end + 4..end), ..Part::default() };
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                part.name = parameter(value, "name").unwrap_or_default();
                part.filename = parameter(value, "filename");
            }
            "content-type" => part.content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some(part)
}

/// The value of `; name=value` or `; name="value"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    body.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}
