//! The newest notices, read once for all who listen near the end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Page;
use super::notice::{self, Notice};
use crate::domain::notice::{News, NoticeId};
use crate::store::{Error, FeedRow, Store};

/// Notices that are kept.
const KEPT_MAX: usize = 2_000;
/// Commits that are read at once.
const COMMITS_AT_ONCE: u64 = 100;
/// Notices in a page, as far as a single commit has no more.
const PAGE_MAX: usize = 500;

/// All notices between two places.
pub(super) struct Window {
    begins: NoticeId,
    notices: VecDeque<Arc<Notice>>,
    ends: NoticeId,
    /// The turn of [`Store::told`] at which there was nothing behind its end.
    whole_at: Option<u64>,
}

impl Window {
    /// One with nothing in it yet.
    pub(super) fn at(place: NoticeId) -> Self {
        Self { begins: place, notices: VecDeque::new(), ends: place, whole_at: None }
    }

    pub(super) fn begins(&self) -> NoticeId {
        self.begins
    }

    pub(super) fn ends(&self) -> NoticeId {
        self.ends
    }

    /// Whether everything behind `place` is in it, as far as it was read.
    pub(super) fn reaches(&self, place: NoticeId) -> bool {
        (self.begins..=self.ends).contains(&place)
    }

    /// What is in it behind `place`; `None` when that is its end.
    pub(super) fn after(&self, place: NoticeId) -> Option<Page> {
        if place >= self.ends {
            return None;
        }
        let first = self.notices.partition_point(|notice| notice.id <= place);
        let notices: Vec<Arc<Notice>> = self.notices.range(first..).take(PAGE_MAX).cloned().collect();
        let more = first + notices.len() < self.notices.len();
        let upto = notices.last().filter(|_| more).map_or(self.ends, |last| last.id);
        Some(Page { notices, upto, missed: None, at_end: false })
    }

    /// Whether there was nothing behind its end at this turn of [`Store::told`].
    pub(super) fn is_whole_at(&self, turn: u64) -> bool {
        self.whole_at == Some(turn)
    }

    /// Takes in what comes behind its end, as it was read after this turn of [`Store::told`].
    pub(super) fn extend(&mut self, read: Page, turn: u64) {
        self.whole_at = read.at_end.then_some(turn);
        self.notices.extend(read.notices);
        self.ends = read.upto;
        let surplus = self.notices.len().saturating_sub(KEPT_MAX);
        if let Some(last) = self.notices.drain(..surplus).next_back() {
            self.begins = last.id;
        }
    }
}

/// What the store has behind `place`.
pub(super) async fn read(store: &Store, place: NoticeId) -> Result<Page, Error> {
    let (rows, ends) = store.read_feed(place.commit, COMMITS_AT_ONCE).await?;
    let forgotten = NoticeId::end_of(ends.forgotten);
    let missed = (ends.forgotten > 0 && place < forgotten).then_some(forgotten);
    let mut upto = missed.unwrap_or(place);
    let mut all: Vec<(NoticeId, i64, News)> = Vec::new();
    let mut at_end = (rows.len() as u64) < COMMITS_AT_ONCE;
    for FeedRow { commit, at, news } in rows {
        if all.len() >= PAGE_MAX {
            at_end = false;
            break;
        }
        let told = (0..).zip(news).map(|(number, news)| (NoticeId { commit, place: number }, at, news));
        all.extend(told.filter(|(id, ..)| *id > place));
        upto = upto.max(NoticeId::end_of(commit));
    }
    Ok(Page { notices: notice::notices(store, all).await?, upto, missed, at_end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ConversationId;
    use crate::domain::notice::{Alarm, Kind};
    use crate::feed::Subject;

    fn notice(commit: i64) -> Arc<Notice> {
        Arc::new(Notice {
            id: NoticeId { commit, place: 0 },
            happened_at: 0,
            kind: Kind::Alarm,
            news: News::Alarm(Alarm::NumberPaused("1".into())),
            phone_number_id: None,
            contact: None,
            conversation: Some(ConversationId(1)),
            subject: Subject::Nothing,
        })
    }

    fn page(commits: std::ops::RangeInclusive<i64>) -> Page {
        let upto = NoticeId::end_of(*commits.end());
        Page { notices: commits.map(notice).collect(), upto, missed: None, at_end: true }
    }

    #[test]
    fn it_tells_what_is_behind_a_place_and_forgets_what_is_too_much() {
        let mut window = Window::at(NoticeId::end_of(10));
        assert!(window.after(NoticeId::end_of(10)).is_none());
        window.extend(page(11..=13), 1);
        assert!(window.is_whole_at(1) && !window.is_whole_at(2));
        let behind = |place| {
            let page = window.after(place)?;
            Some((page.notices.iter().map(|notice| notice.id.commit).collect::<Vec<_>>(), page.upto))
        };
        assert_eq!(behind(NoticeId::end_of(10)), Some((vec![11, 12, 13], NoticeId::end_of(13))));
        assert_eq!(behind(NoticeId { commit: 12, place: 0 }), Some((vec![13], NoticeId::end_of(13))));
        assert_eq!(behind(NoticeId { commit: 13, place: 0 }), Some((vec![], NoticeId::end_of(13))));
        assert_eq!(behind(NoticeId::end_of(13)), None);
        assert!(!window.reaches(NoticeId::end_of(9)) && !window.reaches(NoticeId::end_of(14)));

        window.extend(page(14..=14 + KEPT_MAX as i64), 2);
        assert_eq!(window.notices.len(), KEPT_MAX);
        assert!(!window.reaches(NoticeId::end_of(10)), "what is dropped is not told from here");
        let first = window.notices.front().unwrap().id;
        assert_eq!(window.after(window.begins()).unwrap().notices[0].id, first);
        let page = window.after(window.begins()).unwrap();
        assert_eq!((page.notices.len(), page.upto), (PAGE_MAX, page.notices[PAGE_MAX - 1].id));
    }
}
