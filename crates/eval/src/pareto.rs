//! What can be had for what: cells that no other one is better than in everything.

/// One cell as numbers of which less is better; what is not known is as bad as can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Quality, turned so that less is better.
    pub loss: Option<f64>,
    /// Mean cost of a call.
    pub cost: Option<f64>,
    /// Latency.
    pub latency: Option<f64>,
}

impl Point {
    fn numbers(&self) -> [f64; 3] {
        [self.loss, self.cost, self.latency].map(|number| number.unwrap_or(f64::INFINITY))
    }

    /// At least as good in everything, and better in something.
    fn dominates(&self, other: &Self) -> bool {
        let (mine, others) = (self.numbers(), other.numbers());
        mine.iter().zip(others).all(|(&mine, other)| mine <= other) && mine != others
    }
}

/// Which points no other one dominates. These are estimates as they were measured: it says nothing of how sure they are.
///
/// ```
/// use qd_eval::pareto::{Point, front};
/// let point = |loss, cost| Point { loss: Some(loss), cost: Some(cost), latency: Some(1.0) };
/// assert_eq!(front(&[point(0.1, 9.0), point(0.3, 2.0), point(0.4, 3.0)]), [true, true, false]);
/// ```
pub fn front(points: &[Point]) -> Vec<bool> {
    points.iter().map(|point| point.loss.is_some() && !points.iter().any(|other| other.dominates(point))).collect()
}
