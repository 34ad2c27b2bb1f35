//! Files: where Meta has them, fetching, uploading, deleting. Source: Meta, "Media", 2026.
//!
//! The token goes along with a download, and the address of the download is what an answer says. So an address that is
//! neither Meta's nor that of the Graph API that was set is never asked: the token would be a stranger's.

use std::time::Duration;

use futures_util::{TryStream, TryStreamExt};
use reqwest::header::AUTHORIZATION;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Response, StatusCode, Url};

use super::{ANSWER_MAX, Client, Outcome, Refused, chain, failure, path, read, retry_after};
use crate::meta::object::Object;

/// Where Meta keeps files: `https` at one of these domains or below it.
const MEDIA_HOSTS: [&str; 3] = ["fbsbx.com", "facebook.com", "whatsapp.net"];

/// What Meta says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaInfo {
    /// Where it can be fetched for 5 minutes, with the token.
    pub url: String,
    /// MIME type.
    pub mime_type: Option<String>,
    /// Base64 of its SHA-256.
    pub sha256: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// Why a request about a file or a list came to nothing. None of them changes anything at Meta's that would matter a second time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Meta refused.
    #[error("{}", .0.failure)]
    Refused(Refused),
    /// There was no answer, or one that says nothing.
    #[error("{0}")]
    Unanswered(String),
    /// The address of the file is no longer good: ask for a new one.
    #[error("the address of the file is no longer good")]
    Gone,
    /// The address of the file is not Meta's.
    #[error("the file is said to be at `{0}`, which is not Meta's: nothing was asked there")]
    Stranger(String),
}

impl From<Outcome> for Trouble {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused(refused) => Self::Refused(refused),
            Outcome::NotSent(reason) | Outcome::Ambiguous(reason) => Self::Unanswered(reason),
            Outcome::Accepted { .. } => Self::Unanswered("an answer to something else".to_owned()),
        }
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub struct Download(Response);

impl Download {
    /// The next part of it; `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks before the end, or it takes too long.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let chunk = self.0.chunk().await.map_err(|error| Trouble::Unanswered(chain(&error)))?;
        Ok(chunk.map(Vec::from))
    }
}

impl Client {
    /// What Meta says of the file `media_id`, which came to or was uploaded for our number `phone_number_id`.
    ///
    /// # Errors
    /// When Meta refuses or does not answer.
    pub async fn media_info(&self, media_id: &str, phone_number_id: &str) -> Result<MediaInfo, Trouble> {
        let mut url = self.root.clone();
        path(&mut url, &[media_id]);
        url.query_pairs_mut().append_pair("phone_number_id", phone_number_id);
        let answer = self.answer(self.http.get(url)).await?;
        info(&answer).ok_or_else(|| Trouble::Unanswered("an answer without the file's address".to_owned()))
    }

    /// Begins to fetch the file at `url`, which [`Client::media_info`] told; all of it may take `timeout`.
    ///
    /// # Errors
    /// When the address is not Meta's or no longer good, or Meta refuses or does not answer.
    pub async fn download(&self, url: &str, timeout: Duration) -> Result<Download, Trouble> {
        let url = match Url::parse(url) {
            Ok(url) if self.is_metas(&url) => url,
            Ok(url) => return Err(Trouble::Stranger(url.host_str().unwrap_or_default().to_owned())),
            Err(_) => return Err(Trouble::Stranger("no address".to_owned())),
        };
        let request = self.http.get(url).timeout(timeout).header(AUTHORIZATION, self.token());
        let mut response = self.exchange(request).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Err(Trouble::Gone);
        }
        if status == StatusCode::OK {
            return Ok(Download(response));
        }
        let retry_after = retry_after(response.headers());
        let answer = read(&mut response, ANSWER_MAX).await.unwrap_or_default();
        Err(failure::refused(status.as_u16(), retry_after, &answer)
            .map_or_else(|| Trouble::Unanswered(format!("HTTP {status}")), Trouble::Refused))
    }

    /// Uploads a file of `size` bytes for our number `phone_number_id`, and returns Meta's id of it, which lives for 30
    /// days. All of it may take `timeout`.
    ///
    /// # Errors
    /// When Meta refuses or does not answer, or `content` ends with an error or has another length.
    pub async fn upload<S>(
        &self,
        phone_number_id: &str,
        file: Upload<'_>,
        content: S,
        timeout: Duration,
    ) -> Result<String, Trouble>
    where
        S: TryStream + Send + 'static,
        S::Ok: Into<Vec<u8>>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let content = Body::wrap_stream(content.map_ok(Into::into));
        let part = Part::stream_with_length(content, file.size)
            .file_name(file.filename.to_owned())
            .mime_str(file.mime_type)
            .map_err(|_| Trouble::Unanswered(format!("`{}` is not a MIME type", file.mime_type)))?;
        let form = Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", file.mime_type.to_owned())
            .part("file", part);
        let mut url = self.root.clone();
        path(&mut url, &[phone_number_id, "media"]);
        let answer = self.answer(self.http.post(url).timeout(timeout).multipart(form)).await?;
        let id = parsed(&answer).and_then(|answer| answer.text("id"));
        id.ok_or_else(|| Trouble::Unanswered("a success without a media id".to_owned()))
    }

    /// Whether the token may go along to `url`.
    fn is_metas(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let metas = MEDIA_HOSTS
            .iter()
            .any(|known| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
        let https = url.scheme() == "https" && url.port_or_known_default() == Some(443);
        (https && metas) || url.origin() == self.root.origin()
    }
}

/// What a file that is uploaded is.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Its name.
    pub filename: &'a str,
    /// MIME type.
    pub mime_type: &'a str,
    /// Its size in bytes.
    pub size: u64,
}

fn parsed(answer: &[u8]) -> Option<Object<'_>> {
    Object::parse(std::str::from_utf8(answer).ok()?).ok()
}

fn info(answer: &[u8]) -> Option<MediaInfo> {
    let answer = parsed(answer)?;
    Some(MediaInfo {
        url: answer.text("url")?,
        mime_type: answer.text("mime_type"),
        sha256: answer.text("sha256"),
        size: answer.integer("file_size").and_then(|size| u64::try_from(size).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::config::Secret;

    fn client(graph_url: &str) -> Client {
        Client::new(&Settings {
            graph_url: graph_url.into(),
            version: "v26.0".into(),
            token: Secret::new("token").unwrap(),
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
        })
        .unwrap()
    }

    #[test]
    fn the_token_goes_to_meta_and_to_the_graph_that_was_set_and_to_nobody_else() {
        let client = client("http://127.0.0.1:9000");
        for good in [
            "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&hash=x",
            "https://graph.facebook.com/x",
            "https://mmg.whatsapp.net/x",
            "https://fbsbx.com:443/x",
            "http://127.0.0.1:9000/media/1",
        ] {
            assert!(client.is_metas(&Url::parse(good).unwrap()), "{good}");
        }
        for stranger in [
            "http://lookaside.fbsbx.com/x",
            "https://fbsbx.com:8443/x",
            "https://evilfbsbx.com/x",
            "https://fbsbx.com.evil.example/x",
            "https://evil.example/?fbsbx.com",
            "http://127.0.0.1:9001/media/1",
            "https://127.0.0.1:9000/media/1",
            "http://localhost:9000/media/1",
            "ftp://facebook.com/x",
            "file:///etc/passwd",
        ] {
            assert!(!client.is_metas(&Url::parse(stranger).unwrap()), "{stranger}");
        }
    }

    #[tokio::test]
    async fn a_stranger_is_not_asked() {
        let client = client("http://127.0.0.1:9");
        let refused =
            client.download("https://evil.example/x?secret=1", Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(refused, Trouble::Stranger("evil.example".into()));
        assert!(!refused.to_string().contains("secret"));
    }

    #[test]
    fn an_answer_about_a_file_is_read() {
        let answer = br#"{"messaging_product":"whatsapp","url":"https:\/\/lookaside.fbsbx.com\/x","mime_type":"image\/jpeg","sha256":"q+0=","file_size":"303833","id":"1"}"#;
        let info = info(answer).unwrap();
        assert_eq!(info.url, "https://lookaside.fbsbx.com/x");
        assert_eq!((info.size, info.sha256.as_deref()), (Some(303_833), Some("q+0=")));
        assert_eq!(super::info(b"{\"id\":\"1\"}"), None);
    }
}
