//! Whole numbers in English words, as word2number 1.1 (Akshay Nagpal, MIT) reads them.

/// `w2n.word_to_num` of a text without a decimal point; none where it raises. Words that are not of numbers are passed over.
pub(super) fn read(text: &str) -> Option<u64> {
    let text = text.replace('-', " ").to_lowercase();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(value).collect();
    if numbers.len() <= 1 {
        return numbers.first().copied();
    }
    let place = |scale: u64| numbers.iter().position(|&number| number == scale);
    if SCALES.iter().any(|scale| numbers.iter().filter(|number| *number == scale).count() > 1) {
        return None;
    }
    let [billion, million, thousand] = SCALES.map(place);
    let before = |a: Option<usize>, b: Option<usize>| matches!((a, b), (Some(a), Some(b)) if a < b);
    if before(thousand, million) || before(thousand, billion) || before(million, billion) {
        return None;
    }
    let mut sum: u64 = 0;
    let mut from = 0;
    for (scale, at) in SCALES.into_iter().zip([billion, million, thousand]) {
        if let Some(at) = at {
            sum = sum.checked_add(below_thousand(&numbers[from..at])?.checked_mul(scale)?)?;
            from = at + 1;
        }
    }
    if from < numbers.len() {
        sum = sum.checked_add(below_thousand(&numbers[from..])?)?;
    }
    Some(sum)
}

const SCALES: [u64; 3] = [1_000_000_000, 1_000_000, 1_000];

/// `number_formation`; what it does with five words and more is to look at the first.
fn below_thousand(numbers: &[u64]) -> Option<u64> {
    Some(match *numbers {
        [a, b, c, d] => a * b + c + d,
        [a, b, c] => a * b + c,
        [a, b] if a == 100 || b == 100 => a * b,
        [a, b] => a + b,
        [] => return None,
        [first, ..] => first,
    })
}

fn value(word: &str) -> Option<u64> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if let Some(number) = SMALL.iter().position(|small| *small == word) {
        return Some(number as u64);
    }
    if let Some(tens) = TENS.iter().position(|tens| *tens == word) {
        return Some((tens as u64 + 2) * 10);
    }
    match word {
        "hundred" => Some(100),
        "thousand" => Some(1_000),
        "million" => Some(1_000_000),
        "billion" => Some(1_000_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `word_to_num` of word2number 1.1.
    #[test]
    fn words_are_read_as_word2number_reads_them() {
        for (text, expected) in CASES {
            assert_eq!(read(text), *expected, "{text:?}");
        }
    }

    const CASES: &[(&str, Option<u64>)] = &[
        ("seven", Some(7)),
        ("twenty-one", Some(21)),
        ("two hundred and five", Some(205)),
        ("nineteen hundred", Some(1900)),
        ("one thousand two hundred", Some(1200)),
        ("two million twenty three thousand and forty nine", Some(2023049)),
        ("six million", Some(6000000)),
        ("hundred", Some(100)),
        ("thousand", Some(1000)),
        ("and", None),
        ("five six", Some(11)),
        ("three hundred and forty two million five hundred", Some(342000500)),
        ("thousand million", None),
        ("two thousand thousand", None),
        ("zero", Some(0)),
        ("billion five", None),
        ("one two three four five", Some(1)),
        ("one, two", Some(2)),
    ];
}
