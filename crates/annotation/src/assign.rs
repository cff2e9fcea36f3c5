//! Which item an annotator gets next.
//!
//! All walk through the items in one order, so that the first ones have all their labels soon. An item that others have in hand counts as
//! labelled by them until their time is over, so nobody waits for anybody and nobody works for nothing.

use qd_base::Timestamp;
use qd_catalog::{AnnotationItem, AnnotationStand};

use crate::definition::Overlap;

/// The item: the one that the annotator has in hand, else the first that they have said nothing of and that needs labels which nobody
/// is giving it.
pub fn next(stand: &AnnotationStand, overlap: Overlap, items: u32, now: Timestamp) -> Option<u32> {
    let count = |counts: &std::collections::HashMap<u32, u32>, item| counts.get(&item).copied().unwrap_or(0);
    let is_free = |item: u32| {
        !stand.own.contains(&item) && count(&stand.labels, item) + count(&stand.in_hand, item) < overlap.needed(item)
    };
    let in_hand = stand.lease.filter(|lease| lease.item < items && !stand.own.contains(&lease.item));
    let kept = in_hand.filter(|lease| lease.until > now || is_free(lease.item)).map(|lease| lease.item);
    kept.or_else(|| (0..items).find(|&item| is_free(item)))
}

/// How many items the annotator may still get, those that others have in hand included.
pub fn left(stand: &AnnotationStand, overlap: Overlap, items: u32) -> u32 {
    let needs =
        |item: &u32| !stand.own.contains(item) && stand.labels.get(item).copied().unwrap_or(0) < overlap.needed(*item);
    u32::try_from((0..items).filter(needs).count()).unwrap_or(u32::MAX)
}

/// Whether a label is taken: of an item that needs it, of one that the annotator labelled before, and of one that they were given,
/// however long it took them. A label more does no harm, lost work does.
pub fn takes(item: &AnnotationItem, needed: u32) -> bool {
    item.is_known || item.is_given || item.labels + item.in_hand < needed
}

#[cfg(test)]
mod tests {
    use qd_catalog::AnnotationLease;

    use super::*;

    const TWO: Overlap = Overlap { labels: 2, share: 1.0 };

    fn now() -> Timestamp {
        Timestamp::from_secs(1_000)
    }

    fn lease(item: u32, until: i64) -> Option<AnnotationLease> {
        Some(AnnotationLease { item, begun: Timestamp::from_secs(0), until: Timestamp::from_secs(until) })
    }

    #[test]
    fn the_first_item_that_needs_a_label_comes_next() {
        let mut stand = AnnotationStand::default();
        assert_eq!(next(&stand, TWO, 3, now()), Some(0));
        stand.labels.insert(0, 2);
        assert_eq!(next(&stand, TWO, 3, now()), Some(1));
        stand.labels.insert(1, 1);
        stand.in_hand.insert(1, 1);
        assert_eq!(next(&stand, TWO, 3, now()), Some(2), "somebody else gives it its second label");
        stand.own.insert(2);
        assert_eq!((next(&stand, TWO, 3, now()), left(&stand, TWO, 3)), (None, 1), "unless they do not");
    }

    #[test]
    fn what_is_in_hand_comes_again() {
        let mut stand = AnnotationStand { lease: lease(1, 2_000), ..AnnotationStand::default() };
        assert_eq!(next(&stand, TWO, 3, now()), Some(1));
        stand.labels.insert(1, 2);
        assert_eq!(next(&stand, TWO, 3, now()), Some(1), "also when others were quicker");
        stand.lease = lease(1, 500);
        assert_eq!(next(&stand, TWO, 3, now()), Some(0), "but not when the time is over, too");
        stand.labels.insert(1, 1);
        assert_eq!(next(&stand, TWO, 3, now()), Some(1));
        stand.own.insert(1);
        assert_eq!(next(&stand, TWO, 3, now()), Some(0));
    }

    #[test]
    fn labels_are_taken_where_they_are_needed_or_were_asked_for() {
        let item = AnnotationItem { labels: 2, in_hand: 0, is_known: false, is_given: false };
        assert!(!takes(&item, 2));
        assert!(takes(&item, 3));
        assert!(!takes(&AnnotationItem { in_hand: 1, ..item }, 3));
        assert!(takes(&AnnotationItem { is_known: true, ..item }, 2));
        assert!(takes(&AnnotationItem { is_given: true, ..item }, 2));
    }
}
