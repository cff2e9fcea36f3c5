//! How large the inputs of metrics may be, so that none takes minutes or all memory.

use crate::{Error, Result};

/// Bytes of one text at most.
pub const LONGEST_TEXT_BYTES: usize = 16 << 20;
/// References of one answer at most.
pub const MOST_REFERENCES: usize = 64;
/// The longest n-grams.
pub const HIGHEST_ORDER: usize = 16;
/// What measures that compare each place of one text with each of the other may take: the product of both lengths. They
/// work on 64 places at once, so that this is half a second or so.
pub const MOST_CELLS: u64 = 1 << 34;
/// The same where the way back through the table is needed, which keeps one bit a cell: 128 MiB.
pub const MOST_KEPT_CELLS: u64 = 1 << 30;
/// Words of a text at most whose edits are searched for shifts (TER).
pub const MOST_SHIFTED_WORDS: usize = 20_000;

pub(crate) fn texts<R: AsRef<str>>(name: &'static str, answer: &str, references: &[R]) -> Result<()> {
    if references.is_empty() || references.len() > MOST_REFERENCES {
        return Err(Error::metric(name, format!("it needs 1 to {MOST_REFERENCES} references")));
    }
    text(name, answer)?;
    references.iter().try_for_each(|reference| text(name, reference.as_ref()))
}

pub(crate) fn text(name: &'static str, text: &str) -> Result<()> {
    if text.len() > LONGEST_TEXT_BYTES {
        return Err(Error::metric(name, format!("a text has {} bytes, {LONGEST_TEXT_BYTES} are allowed", text.len())));
    }
    Ok(())
}

pub(crate) fn order(name: &'static str, what: &str, order: usize, lowest: usize) -> Result<()> {
    if (lowest..=HIGHEST_ORDER).contains(&order) {
        return Ok(());
    }
    Err(Error::metric(name, format!("{what} must be {lowest} to {HIGHEST_ORDER}")))
}

pub(crate) fn cells(name: &'static str, left: usize, right: usize, most: u64) -> Result<()> {
    if (left as u64).saturating_mul(right as u64) <= most {
        return Ok(());
    }
    Err(Error::metric(name, format!("texts of {left} and {right} places are too long to be compared place by place")))
}

#[cfg(test)]
mod tests {
    use crate::metric::{Bleu, Chrf, Rouge, Ter, edit};

    #[test]
    fn what_is_too_large_is_refused() {
        let none: [&str; 0] = [];
        assert!(Bleu::default().sentence("a", &none).unwrap_err().to_string().contains("references"));
        assert!(Bleu { max_order: 17, ..Bleu::default() }.sentence("a", &["a"]).is_err());
        assert!(Chrf { char_order: 0, word_order: 0, ..Chrf::default() }.sentence("a", &["a"]).is_err());
        let many = "a ".repeat(30_000);
        assert!(Ter::default().sentence(&many, &["a"]).unwrap_err().to_string().contains("words"));
        let long = "a ".repeat(200_000);
        assert!(Rouge::default().score(&long, &long).unwrap_err().to_string().contains("too long"));
        assert!(edit::similarity(&long, &long).is_err());
        assert!(Bleu::default().sentence(&long, &[&long]).is_ok());
    }
}
