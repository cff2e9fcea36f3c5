//! Edits with shifts: `translation_edit_rate` of sacreBLEU's `lib_ter.py`, whose limits these are.

/// Words that one shift moves at most.
const MAX_SHIFT_SIZE: usize = 10;
/// How far apart the places of a shift may be.
const MAX_SHIFT_DISTANCE: usize = 50;
/// Cells on each side of the diagonal that distances are computed of.
const BEAM_WIDTH: usize = 25;
/// Shifts that are tried.
const MAX_CANDIDATES: usize = 1_000;

/// Edits that make `said` into `right`: shifts as long as one saves edits, the best one first, then words one by one.
pub(super) fn edits(said: &[u32], right: &[u32]) -> u64 {
    if right.is_empty() {
        return said.len() as u64;
    }
    let mut matrix = Matrix::new(said, right);
    let (mut shifts, mut tried) = (0, 0);
    loop {
        let best = best_shift(&mut matrix, right, &mut tried);
        match best {
            Some(shift) if tried < MAX_CANDIDATES && shift.saves > 0 => {
                shifts += 1;
                matrix.set(shift.applied_to(&matrix.said), right);
            }
            _ => return shifts + u64::from(matrix.distance()),
        }
    }
}

/// Words from `start` on, put before `target`. Ordered as Tercom ranks: what saves most, then the longest, the earliest,
/// and the earliest target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shift {
    saves: i64,
    length: usize,
    start: std::cmp::Reverse<usize>,
    target: std::cmp::Reverse<usize>,
}

impl Shift {
    fn applied_to(self, words: &[u32]) -> Vec<u32> {
        let mut shifted = Vec::new();
        perform(words, self.start.0, self.length, self.target.0, &mut shifted);
        shifted
    }
}

/// `_perform_shift`.
fn perform(words: &[u32], start: usize, length: usize, target: usize, out: &mut Vec<u32>) {
    let moved = &words[start..start + length];
    let parts: [&[u32]; 4] = if target < start {
        [&words[..target], moved, &words[target..start], &words[start + length..]]
    } else if target > start + length {
        [&words[..start], &words[start + length..target], moved, &words[target..]]
    } else {
        // Within the words that move: as Python's slices, whose ends may lie past the list.
        let until = (length + target).min(words.len());
        [&words[..start], &words[start + length..until], moved, &words[until..]]
    };
    out.clear();
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// `_shift`: the best of the shifts that may help, or none. Counts what was tried.
fn best_shift(matrix: &mut Matrix, right: &[u32], tried: &mut usize) -> Option<Shift> {
    let alignment = matrix.alignment(right);
    let said = matrix.said.clone();
    let before = i64::from(matrix.distance());
    let (mut best, mut shifted) = (None, Vec::with_capacity(said.len()));
    for start in 0..said.len() {
        let from = start.saturating_sub(MAX_SHIFT_DISTANCE);
        let until = (start + MAX_SHIFT_DISTANCE + 1).min(right.len());
        for right_start in from..until {
            let common = said[start..].iter().zip(&right[right_start..]).take(MAX_SHIFT_SIZE);
            let longest = common.take_while(|(left, right)| left == right).count();
            for length in 1..=longest {
                if !alignment.may_help(start, right_start, length) {
                    continue;
                }
                for target in alignment.targets(right_start, length) {
                    perform(&said, start, length, target, &mut shifted);
                    let saves = before - i64::from(matrix.distance_of(&shifted, right));
                    let shift =
                        Shift { saves, length, start: std::cmp::Reverse(start), target: std::cmp::Reverse(target) };
                    *tried += 1;
                    best = best.max(Some(shift));
                }
                if *tried >= MAX_CANDIDATES {
                    return best;
                }
            }
        }
    }
    best
}

/// Which word of the answer each word of the reference is aligned to, and which are wrong.
struct Alignment {
    /// For each word of the reference the place in the answer, counted from 1; 0 stands before the first.
    places: Vec<usize>,
    /// Errors among the first words of the reference.
    right_errors: Vec<u32>,
    /// Errors among the first words of the answer.
    said_errors: Vec<u32>,
}

impl Alignment {
    /// Whether the words are wrong where they stand and missing where they would come, which lies outside of them.
    fn may_help(&self, start: usize, right_start: usize, length: usize) -> bool {
        let none = |errors: &[u32], from: usize| errors[from + length] == errors[from];
        let inside = (start + 1..start + length + 1).contains(&self.places[right_start]);
        !none(&self.said_errors, start) && !none(&self.right_errors, right_start) && !inside
    }

    /// Where the words may go: before the aligned word, and after each of the words they stand for.
    fn targets(&self, right_start: usize, length: usize) -> impl Iterator<Item = usize> {
        let before = right_start.checked_sub(1).map_or(0, |before| self.places[before]);
        let within = self.places[right_start..(right_start + length).min(self.places.len())].iter().copied();
        let mut last = None;
        std::iter::once(before).chain(within).filter(move |&target| last.replace(target) != Some(target))
    }
}

/// What makes a cell of the matrix the cheapest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Match,
    Replace,
    Delete,
    Insert,
}

/// Distances of the beginnings of an answer to those of the reference, near the diagonal.
struct Matrix {
    said: Vec<u32>,
    /// Rows one after the other; each begins at the column `first`.
    rows: Vec<Row>,
    /// The rows of a candidate: two are enough.
    spare: [Row; 2],
}

#[derive(Clone, Default)]
struct Row {
    first: usize,
    costs: Vec<u32>,
}

/// A cell that no path reaches.
const UNREACHED: u32 = u32::MAX / 2;

impl Row {
    /// The first row: words of the reference put in.
    fn initial(columns: usize) -> Self {
        Self { first: 0, costs: (0..columns as u32).collect() }
    }

    fn get(&self, column: usize) -> u32 {
        column.checked_sub(self.first).and_then(|at| self.costs.get(at)).copied().unwrap_or(UNREACHED)
    }

    /// The row after `above`, for the word `word`, over the columns of `band`.
    fn fill(&mut self, above: &Row, word: u32, right: &[u32], band: std::ops::Range<usize>) {
        self.first = band.start;
        self.costs.clear();
        let mut left = UNREACHED;
        let mut diagonal = band.start.checked_sub(1).map_or(UNREACHED, |column| above.get(column));
        for column in band {
            let up = above.get(column);
            left = if column == 0 {
                up + 1
            } else {
                let replaced = diagonal + u32::from(right[column - 1] != word);
                replaced.min(up + 1).min(left + 1).min(UNREACHED)
            };
            diagonal = up;
            self.costs.push(left);
        }
    }
}

impl Matrix {
    fn new(said: &[u32], right: &[u32]) -> Self {
        let mut matrix =
            Self { said: Vec::new(), rows: vec![Row::initial(right.len() + 1)], spare: Default::default() };
        matrix.set(said.to_vec(), right);
        matrix
    }

    /// Computes the rows of another answer; those of the words that both begin with stay.
    fn set(&mut self, said: Vec<u32>, right: &[u32]) {
        let same = self.said.iter().zip(&said).take_while(|(old, new)| old == new).count();
        self.rows.truncate(same + 1);
        for place in same..said.len() {
            let mut row = Row::default();
            row.fill(&self.rows[place], said[place], right, band(place + 1, said.len(), right.len()));
            self.rows.push(row);
        }
        self.said = said;
    }

    fn distance(&self) -> u32 {
        self.rows.last().and_then(|row| row.costs.last()).copied().unwrap_or_default()
    }

    /// The distance of an answer of the same words in another order.
    ///
    /// From the first word that differs on, until the rows are those of `said` plus or minus a number: from there on the words
    /// are the same, so the distance is that of `said` plus or minus that number.
    fn distance_of(&mut self, other: &[u32], right: &[u32]) -> u32 {
        let differs = |place: usize| self.said[place] != other[place];
        let Some(first) = (0..other.len()).find(|&place| differs(place)) else {
            return self.distance();
        };
        let last = (first..other.len()).rfind(|&place| differs(place)).unwrap_or(first);
        let mut spare = std::mem::take(&mut self.spare);
        let mut distance = None;
        for place in first..other.len() {
            let [above, row] = &mut spare;
            let above = if place == first { &self.rows[place] } else { &*above };
            row.fill(above, other[place], right, band(place + 1, other.len(), right.len()));
            if place >= last {
                distance = shifted_by(row, &self.rows[place + 1]).map(|by| (i64::from(self.distance()) + by) as u32);
                if distance.is_some() {
                    break;
                }
            }
            spare.swap(0, 1);
        }
        let distance = distance.unwrap_or_else(|| spare[0].costs.last().copied().unwrap_or_default());
        self.spare = spare;
        distance
    }

    /// The cheapest way through the matrix, and what it says of words.
    fn alignment(&self, right: &[u32]) -> Alignment {
        let mut steps = Vec::with_capacity(self.said.len() + right.len());
        let (mut row, mut column) = (self.said.len(), right.len());
        while row > 0 || column > 0 {
            let step = self.step(row, column, right);
            steps.push(step);
            row -= usize::from(step != Step::Insert);
            column -= usize::from(step != Step::Delete);
        }
        let mut alignment = Alignment { places: Vec::new(), right_errors: vec![0], said_errors: vec![0] };
        let add = |errors: &mut Vec<u32>, wrong: bool| errors.push(errors[errors.len() - 1] + u32::from(wrong));
        let mut place = 0;
        for step in steps.into_iter().rev() {
            let wrong = step != Step::Match;
            if step != Step::Insert {
                place += 1;
                add(&mut alignment.said_errors, wrong);
            }
            if step != Step::Delete {
                alignment.places.push(place);
                add(&mut alignment.right_errors, wrong);
            }
        }
        alignment
    }

    /// Which step leads to a cell: of those as cheap the first of replacing, deleting and inserting.
    fn step(&self, row: usize, column: usize, right: &[u32]) -> Step {
        if row == 0 {
            return Step::Insert;
        }
        if column == 0 {
            return Step::Delete;
        }
        let (here, above) = (self.rows[row].get(column), &self.rows[row - 1]);
        let same = self.said[row - 1] == right[column - 1];
        if above.get(column - 1) + u32::from(!same) == here {
            return if same { Step::Match } else { Step::Replace };
        }
        if above.get(column) + 1 == here { Step::Delete } else { Step::Insert }
    }
}

/// Columns of a row that distances are computed of: around the diagonal from one corner to the other, and wider where the
/// texts differ so much in length that rows would not overlap. The last row goes to the end.
fn band(row: usize, rows: usize, columns: usize) -> std::ops::Range<usize> {
    let ratio = columns as f64 / rows as f64;
    let width =
        if (BEAM_WIDTH as f64) < ratio / 2.0 { (ratio / 2.0 + BEAM_WIDTH as f64).ceil() as usize } else { BEAM_WIDTH };
    let diagonal = (row as f64 * ratio).floor() as usize;
    let end = if row == rows { columns + 1 } else { (diagonal + width).min(columns + 1) };
    diagonal.saturating_sub(width)..end
}

/// By how much a row is another one, if it is so in each cell.
fn shifted_by(row: &Row, other: &Row) -> Option<i64> {
    let by = i64::from(*row.costs.first()?) - i64::from(*other.costs.first()?);
    let same = |(left, right): (&u32, &u32)| {
        *left < UNREACHED && *right < UNREACHED && i64::from(*left) - i64::from(*right) == by
    };
    row.costs.iter().zip(&other.costs).all(same).then_some(by)
}
