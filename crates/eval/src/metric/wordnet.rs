//! WordNet's synonyms, read from its own files.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

/// The words of WordNet and which of them mean the same.
///
/// Fellbaum (ed.), "WordNet: An Electronic Lexical Database" (1998). The files are described in wndb(5WN); what a word's base
/// forms are follows NLTK's `WordNetCorpusReader._morphy`, which applies each rule once.
#[derive(Debug)]
pub struct WordNet {
    parts: [Part; 4],
    /// Words without spaces, each once.
    words: Vec<Box<str>>,
}

/// One part of speech.
#[derive(Debug, Default)]
struct Part {
    /// The synsets of each lemma.
    lemmas: HashMap<Box<str>, Box<[u32]>>,
    /// Irregular forms and their base forms.
    exceptions: HashMap<Box<str>, Vec<Box<str>>>,
    /// Words of each synset, by its place in the file.
    synsets: HashMap<u32, Box<[u32]>>,
}

/// Where Debian's package wordnet-base puts the files.
pub const DEBIAN_FOLDER: &str = "/usr/share/wordnet";
/// Bytes of one file at most; WordNet 3.0's largest has 15 million.
const LARGEST_FILE_BYTES: u64 = 128 << 20;

/// Names of files, and the endings that make a base form: NLTK's `MORPHOLOGICAL_SUBSTITUTIONS`.
const PARTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "noun",
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    ("verb", &[("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")]),
    ("adj", &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")]),
    ("adv", &[]),
];

impl WordNet {
    /// Reads the files `index.*`, `data.*` and `*.exc` of a folder. Takes a fifth of a second.
    ///
    /// # Errors
    /// [`Error::WordNet`] with the file that is missing, too large or not WordNet's.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut words = Words::default();
        let mut parts: [Part; 4] = Default::default();
        for (part, (name, _)) in parts.iter_mut().zip(PARTS) {
            let read = |file: String| read(&folder.join(file));
            part.synsets =
                by_line(folder, &format!("data.{name}"), &read(format!("data.{name}"))?, |line| words.synset(line))?;
            part.lemmas = by_line(folder, &format!("index.{name}"), &read(format!("index.{name}"))?, lemma)?;
            part.exceptions = by_line(folder, &format!("{name}.exc"), &read(format!("{name}.exc"))?, exception)?;
        }
        Ok(Self { parts, words: words.all })
    }

    /// The one of this machine, in Debian's folder. It is read once, and looked for again as long as it is not there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Option<Arc<WordNet>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.as_ref() {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(Self::open(Path::new(DEBIAN_FOLDER))?);
        *shared = Some(Arc::clone(&read));
        Ok(read)
    }

    /// The words without spaces of all synsets that a word stands in, itself among them where it has any.
    ///
    /// As WordNet writes them: names begin with a capital.
    pub fn synonyms(&self, word: &str) -> BTreeSet<&str> {
        let word = word.to_lowercase();
        let mut found = BTreeSet::new();
        for (part, (_, endings)) in self.parts.iter().zip(PARTS) {
            for form in part.base_forms(&word, endings) {
                let synsets = part.lemmas.get(form.as_str()).into_iter().flatten();
                let members = synsets.filter_map(|place| part.synsets.get(place)).flatten();
                found.extend(members.map(|&word| &*self.words[word as usize]));
            }
        }
        found
    }
}

impl Part {
    /// The word itself, then its irregular base forms, or else what the endings make of it. Not all of them are words.
    fn base_forms(&self, word: &str, endings: &[(&str, &str)]) -> Vec<String> {
        let mut forms = vec![word.to_owned()];
        match self.exceptions.get(word) {
            Some(irregular) => forms.extend(irregular.iter().map(|form| (**form).to_owned())),
            None => forms.extend(
                endings.iter().filter_map(|(old, new)| word.strip_suffix(old).map(|stem| format!("{stem}{new}"))),
            ),
        }
        forms
    }
}

/// Numbers words that have no spaces.
#[derive(Default)]
struct Words {
    all: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Words {
    /// `00001740 03 n 01 entity 0 003 ~ …`: the place, and after two fields the number of words in hexadecimal, and each
    /// word with its number in the lexicographers' file. A word may end with a marker, as in `galore(ip)`.
    fn synset(&mut self, line: &str) -> Option<(u32, Box<[u32]>)> {
        let mut fields = line.split(' ');
        let place = fields.next()?.parse().ok()?;
        let count = usize::from_str_radix(fields.nth(2)?, 16).ok()?;
        let mut members = Vec::new();
        for _ in 0..count {
            let word = fields.next()?;
            fields.next()?;
            let word = word.split_once('(').map_or(word, |(word, _)| word);
            if !word.contains('_') {
                members.push(self.number(word));
            }
        }
        Some((place, members.into()))
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.all.len() as u32;
        self.all.push(word.into());
        self.numbers.insert(word.into(), number);
        number
    }
}

/// `entity n 1 1 ~ 1 1 00001740`: the lemma, the number of synsets, that of pointers and they, two numbers, and the places.
fn lemma(line: &str) -> Option<(Box<str>, Box<[u32]>)> {
    let mut fields = line.split(' ').filter(|field| !field.is_empty());
    let lemma = fields.next()?;
    let synsets: usize = fields.nth(1)?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let places = fields.skip(pointers + 2).take(synsets).map(|place| place.parse().ok());
    let places: Box<[u32]> = places.collect::<Option<_>>()?;
    (places.len() == synsets).then(|| (lemma.into(), places))
}

/// `mice mouse`: a form and its base forms.
fn exception(line: &str) -> Option<(Box<str>, Vec<Box<str>>)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.into(), words.map(Into::into).collect()))
}

fn read(path: &Path) -> Result<String> {
    let fail = |why: String| Error::WordNet { file: path.display().to_string(), why };
    let bytes = fs::metadata(path).map_err(|cause| fail(cause.to_string()))?.len();
    if bytes > LARGEST_FILE_BYTES {
        return Err(fail(format!("there are {bytes} bytes")));
    }
    fs::read_to_string(path).map_err(|cause| fail(cause.to_string()))
}

/// What each line says; lines of the licence begin with a space.
fn by_line<K: Eq + std::hash::Hash, V>(
    folder: &Path,
    file: &str,
    text: &str,
    mut read: impl FnMut(&str) -> Option<(K, V)>,
) -> Result<HashMap<K, V>> {
    let mut found = HashMap::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.starts_with(' ') && !line.is_empty()) {
        let (key, value) = read(line).ok_or_else(|| Error::WordNet {
            file: folder.join(file).display().to_string(),
            why: format!("line {number} is not as it should be"),
        })?;
        found.insert(key, value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference;

    /// NLTK's synonyms, from the few lines of WordNet that `parity/wordnet` holds.
    #[test]
    fn synonyms_are_those_of_nltk() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/wordnet");
        let wordnet = WordNet::open(&folder).unwrap();
        let expected = reference::section("synonyms");
        let expected = expected.as_object().unwrap();
        assert!(expected.len() >= 40);
        for (word, expected) in expected {
            let expected: BTreeSet<&str> =
                expected.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            assert_eq!(wordnet.synonyms(word), expected, "{word}");
        }
    }

    #[test]
    fn a_folder_without_it_is_an_error_that_names_the_file() {
        let error = WordNet::open(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/data.noun") && error.contains("wordnet-base"), "{error}");
    }
}
