//! Keyset pages: a list continues after the last item seen, so that what is added meanwhile shifts nothing.

/// How many items to return, and after which one to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    limit: u32,
    after: Option<K>,
}

impl<K> Page<K> {
    /// At most this many items come at once.
    pub const MAX: u32 = 1000;

    /// The first page, of between 1 and [`Page::MAX`] items.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, Self::MAX), after: None }
    }

    /// The page after the item with this key.
    pub fn after(limit: u32, key: K) -> Self {
        Self { after: Some(key), ..Self::first(limit) }
    }

    /// The page after `key`, or the first when there is none.
    pub fn maybe_after(limit: u32, key: Option<K>) -> Self {
        Self { after: key, ..Self::first(limit) }
    }

    pub(crate) fn key(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// One more row than is asked for tells whether there is a next page.
    pub(crate) fn probe(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl<K> Default for Page<K> {
    fn default() -> Self {
        Self::first(100)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T, K> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The key to continue after; `None` at the end of the list.
    pub next: Option<K>,
}

impl<T, K> Listed<T, K> {
    /// The page that was asked for, out of rows that may be one more.
    pub(crate) fn of(mut items: Vec<T>, page: &Page<K>, key: impl Fn(&T) -> K) -> Self {
        let asked = page.limit as usize;
        let more = items.len() > asked;
        items.truncate(asked);
        let next = items.last().filter(|_| more).map(key);
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let page = Page::first(2);
        assert_eq!(Listed::of(vec![7, 8, 9], &page, |n| *n), Listed { items: vec![7, 8], next: Some(8) });
        assert_eq!(Listed::of(vec![7, 8], &page, |n| *n), Listed { items: vec![7, 8], next: None });
    }

    #[test]
    fn a_limit_is_kept_in_bounds() {
        assert_eq!(Page::<u32>::first(0).probe(), 2);
        assert_eq!(Page::<u32>::first(u32::MAX).probe(), i64::from(Page::<u32>::MAX) + 1);
    }
}
