//! Rungs: on how many items cells are tried, and which go on.

use qd_eval::Column;

use crate::definition::Search;

/// How many of the items, in their order, each rung asks about; the last one about all.
///
/// With successive halving by a factor of f, the rungs have n, n·f, n·f², … items, and a rung keeps one cell in f. As soon as two
/// cells are left, or the items are, the next is the last.
pub fn rungs(search: Search, items: usize, cells: usize) -> Vec<usize> {
    let Search::Halving { first_items, factor } = search else { return vec![items] };
    let (mut sizes, mut size, mut left) = (Vec::new(), first_items, cells);
    while size < items && left > 2 {
        sizes.push(size);
        size = size.saturating_mul(factor);
        left = kept(left, factor);
    }
    sizes.push(items);
    sizes
}

/// How many of these cells go on: one in `factor`, and two at least, since with one there would be nothing to compare.
pub fn kept(cells: usize, factor: usize) -> usize {
    cells.div_ceil(factor).max(2).min(cells)
}

/// Which cells go on: those with the best means, in their order. One without scores is the worst.
pub fn survivors(alive: &[usize], columns: &[&Column], factor: usize) -> Vec<usize> {
    let worth = |column: &Column| column.mean().map_or(f64::NEG_INFINITY, |mean| column.direction.oriented(mean));
    let mut order: Vec<(usize, f64)> = alive.iter().copied().zip(columns.iter().map(|column| worth(column))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut kept: Vec<usize> = order.into_iter().take(kept(alive.len(), factor)).map(|(cell, _)| cell).collect();
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use qd_eval::{Direction, Unit};

    use super::*;

    #[test]
    fn rungs_by_hand() {
        let halving = |first_items, factor| Search::Halving { first_items, factor };
        // 27 cells on 10, 9 on 30, 3 on 90, then 2 on all.
        assert_eq!(rungs(halving(10, 3), 200, 27), [10, 30, 90, 200]);
        assert_eq!(rungs(halving(10, 3), 50, 27), [10, 30, 50]);
        assert_eq!(rungs(halving(10, 2), 50, 2), [50]);
        assert_eq!(rungs(halving(60, 2), 50, 8), [50]);
        assert_eq!(rungs(Search::Grid, 50, 8), [50]);
    }

    #[test]
    fn the_best_go_on() {
        let column = |score: Option<f64>| {
            let mut column = Column::new(Unit::Milliseconds, Direction::Lower);
            score.into_iter().for_each(|score| column.push(0, score));
            column
        };
        let columns = [Some(5.0), None, Some(3.0), Some(9.0), Some(3.0)].map(column);
        let columns: Vec<&Column> = columns.iter().collect();
        assert_eq!(
            survivors(&[0, 2, 4, 6, 8], &columns, 2),
            [0, 4, 8],
            "less is better, and what has no score is worst"
        );
        assert_eq!(survivors(&[0, 2], &columns[..2], 3), [0, 2]);
    }
}
