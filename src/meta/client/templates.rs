//! The templates of a business account, page by page. Source: Meta, "Business Management API", message templates, 2026.
//!
//! An answer names the address of the next page. It is not asked: the token goes where it always goes, with the cursor.

use super::{Client, Trouble, path};
use crate::domain::template::Template;
use crate::meta::object::Object;
use crate::meta::template;

/// Templates that are asked for at once.
const PAGE: usize = 100;
/// Pages that are read. Meta lets a verified business have 6,000 templates; each may have several languages.
const PAGES_MAX: usize = 200;
/// Bytes of one page. A template has up to some 10 KiB where every part of it is as long as can be.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// What is asked of each.
const FIELDS: &str =
    "id,name,language,category,status,quality_score,rejected_reason,parameter_format,components";

/// The templates of a business account, as Meta lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// They.
    pub templates: Vec<Template>,
    /// Whether that is all of them: every page was read, and everything in it. Only then is what is missing not there.
    pub whole: bool,
}

impl Client {
    /// All templates of the business account `account`.
    ///
    /// # Errors
    /// When Meta refuses or does not answer: nothing is then known of any of them.
    pub async fn templates(&self, account: &str) -> Result<Listing, Trouble> {
        let mut listing = Listing { templates: Vec::new(), whole: true };
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let answer = self.template_page(account, after.as_deref()).await?;
            let page = std::str::from_utf8(&answer).ok().and_then(|text| Object::parse(text).ok());
            let page = page
                .filter(|page| page.get("data").is_some())
                .ok_or_else(|| Trouble::Unanswered("a list of templates that cannot be read".to_owned()))?;
            for raw in page.list("data") {
                match Object::read(raw).as_ref().and_then(template::listed) {
                    Some(template) => listing.templates.push(template),
                    None => listing.whole = false,
                }
            }
            after = next(&page);
            if after.is_none() {
                return Ok(listing);
            }
        }
        listing.whole = false;
        Ok(listing)
    }

    async fn template_page(&self, account: &str, after: Option<&str>) -> Result<Vec<u8>, Trouble> {
        let mut url = self.root.clone();
        path(&mut url, &[account, "message_templates"]);
        let limit = PAGE.to_string();
        let query = [("fields", FIELDS), ("limit", &limit)].into_iter().chain(after.map(|at| ("after", at)));
        url.query_pairs_mut().extend_pairs(query);
        Ok(self.answer_up_to(self.http.get(url), PAGE_BYTES_MAX).await?)
    }
}

/// Where the next page begins, if there is one.
fn next(page: &Object<'_>) -> Option<String> {
    let paging = page.object("paging")?;
    paging.get("next")?;
    paging.object("cursors")?.text("after")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_next_page_where_meta_says_so() {
        let after = |json: &str| next(&Object::parse(json).unwrap());
        let cursors = r#""cursors":{"before":"A","after":"B"}"#;
        let more = format!(r#"{{"paging":{{{cursors},"next":"https:\/\/graph.facebook.com\/x"}}}}"#);
        assert_eq!(after(&more).as_deref(), Some("B"));
        assert_eq!(after(&format!(r#"{{"paging":{{{cursors}}}}}"#)), None);
        assert_eq!(after("{}"), None);
    }
}
