//! A judge that is ready to be asked.

use std::sync::Arc;

use qd_base::chat::ChatRequest;
use qd_base::{ModelName, Sha256Hex};
use qd_eval::{Direction, Scorer};
use serde_json::{Map, Value};

use crate::ask::{Ask, Own, ReadyWords, Shape, Words};
use crate::definition::Definition;
use crate::fence::Fence;
use crate::item::{Datum, Item};
use crate::judgement::Part;
use crate::method::{Method, checklist, claims, direct, graded, jury, pairwise, passages, reference, weighted};
use crate::reply::Reply;
use crate::scale::Label;
use crate::{Error, Result, Step, said};

/// A judge that is ready to be asked.
///
/// ```
/// use qd_judge::{Definition, Judge, Outcome, Reply, Step};
/// let definition: Definition = serde_json::from_str(r#"{
///     "model": "some-model",
///     "instruction": "You grade answers. How helpful is the answer to the question?",
///     "content": "Question:\n{{ question }}\n\nAnswer:\n{{ answer }}",
///     "inputs": [{"name": "question"}, {"name": "answer"}],
///     "scale": {"kind": "numeric", "lowest": 1, "highest": 5},
///     "method": {"kind": "direct"}
/// }"#)?;
/// let judge = Judge::new(&definition)?;
/// let item = serde_json::json!({"question": "What is 2 + 2?", "answer": "4"});
/// let Step::Ask(asking) = judge.begin(item.as_object().unwrap())? else { panic!() };
/// assert_eq!(asking.requests().len(), 1);
/// let reply = serde_json::from_value(serde_json::json!({
///     "id": "", "object": "", "created": 0, "model": "some-model",
///     "choices": [{"index": 0, "message": {"role": "assistant", "content": "{\"reasoning\": \"Right.\", \"verdict\": \"5\"}"}}],
/// }))?;
/// let Step::Done(judgement) = asking.answer(vec![Reply::Answered(Box::new(reply))]) else { panic!() };
/// assert_eq!(judgement.outcome.value(), Some(5.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Judge(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub definition: Definition,
    digest: Sha256Hex,
    /// Who is asked; none is, for a jury.
    model: Option<ModelName>,
    /// Words of the judge's own question.
    pub words: ReadyWords,
    /// Words of what is asked before it.
    pub first_words: Option<ReadyWords>,
    pub labels: Vec<Label>,
    pub jurors: Vec<Judge>,
    pub scorers: Vec<Scorer>,
}

impl Judge {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`Error::Definition`] and [`Error::Template`] for what cannot be used.
    pub fn new(definition: &Definition) -> Result<Self> {
        definition.check()?;
        let jurors = match &definition.method {
            Method::Jury { jurors, .. } => jury::read(jurors)?,
            _ => Vec::new(),
        };
        if definition.model.is_none() && jurors.is_empty() {
            return Err(Error::definition("model", "say which model judges"));
        }
        let scorers = match &definition.method {
            Method::Reference { scorers, .. } => reference::read(scorers)?,
            _ => Vec::new(),
        };
        let hidden = match &definition.method {
            Method::Reference { answer, .. } => vec![answer.clone()],
            _ => Vec::new(),
        };
        let own = definition.method.variables();
        let judge = Self(Arc::new(Inner {
            digest: definition.digest(),
            model: definition.model.clone(),
            words: ReadyWords::new(&words_of(definition), "", definition, own, &hidden)?,
            first_words: first_words(definition)?,
            labels: labels_of(definition, &jurors),
            jurors,
            scorers,
            definition: definition.clone(),
        }));
        judge.try_out()?;
        Ok(judge)
    }

    /// What it was read from.
    pub fn definition(&self) -> &Definition {
        &self.0.definition
    }

    /// Which way is better.
    pub fn better(&self) -> Direction {
        self.0.definition.better
    }

    /// The words that it may say of an item, where it says one; none where its score is a share from 0 to 1.
    pub fn labels(&self) -> &[Label] {
        &self.0.labels
    }

    /// The lowest and the highest score.
    pub fn range(&self) -> (f64, f64) {
        let values = self.0.labels.iter().filter_map(|label| label.value);
        let range = values.fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        range.unwrap_or((0.0, 1.0))
    }

    /// Begins to judge an item.
    ///
    /// # Errors
    /// [`Error::Item`] when the item is not as the judge needs it, [`Error::Template`] when a template fails on it, and
    /// [`Error::TooLarge`].
    pub fn begin(&self, values: &Map<String, Value>) -> Result<Step> {
        if !self.0.jurors.is_empty() {
            return jury::begin(self, values);
        }
        self.begin_with(Item::new(&self.0.definition.inputs, values)?)
    }

    fn begin_with(&self, item: Item) -> Result<Step> {
        let case = Case { judge: self.clone(), item: Arc::new(item) };
        match &self.0.definition.method {
            Method::Direct { .. } => direct::begin(case),
            Method::Weighted { .. } => weighted::begin(case),
            Method::Pairwise { .. } => pairwise::begin(case),
            Method::Reference { .. } => reference::begin(case),
            Method::Checklist { .. } => checklist::begin(case),
            Method::Claims { .. } => claims::begin(case),
            Method::Passages { .. } => passages::begin(case),
            Method::Graded { .. } => graded::begin(case),
            Method::Jury { .. } => Err(Error::definition("method", "a jury has jurors")),
        }
    }

    /// Writes its templates once with all inputs and once without those that may be absent, so that a template that
    /// cannot be written is found before an item is.
    fn try_out(&self) -> Result<()> {
        if !self.0.jurors.is_empty() {
            return Ok(());
        }
        for all in [true, false] {
            let inputs = self.0.definition.inputs.iter().filter(|input| all || input.required);
            let values = inputs.map(|input| {
                let value = match input.list {
                    true => vec!["a text"; input.count.unwrap_or(2)].into(),
                    false => Value::from("a text"),
                };
                (input.name.clone(), value)
            });
            self.begin(&values.collect())?;
        }
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

fn words_of(definition: &Definition) -> Words {
    let usual = match &definition.method {
        Method::Checklist { .. } => Some("{{ check }}".to_owned()),
        _ => None,
    };
    Words {
        instruction: definition.instruction.clone(),
        content: definition.content.clone(),
        question: definition.question.clone().or(usual),
    }
}

fn first_words(definition: &Definition) -> Result<Option<ReadyWords>> {
    let words = match &definition.method {
        Method::Claims { of, extract, .. } => extract.clone().unwrap_or_else(|| claims::usual_words(of)),
        Method::Checklist { generate: Some(generate), .. } => generate.words.clone(),
        _ => return Ok(None),
    };
    ReadyWords::new(&words, "method.", definition, &[], &[]).map(Some)
}

fn labels_of(definition: &Definition, jurors: &[Judge]) -> Vec<Label> {
    match (&definition.method, &definition.scale) {
        (Method::Pairwise { .. }, _) => pairwise::labels(),
        (Method::Jury { .. }, _) => jurors.first().map(|juror| juror.0.labels.clone()).unwrap_or_default(),
        (_, Some(scale)) => scale.labels(),
        _ => Vec::new(),
    }
}

/// A judge and the item before it.
#[derive(Clone)]
pub(crate) struct Case {
    pub judge: Judge,
    pub item: Arc<Item>,
}

impl Case {
    pub fn inner(&self) -> &Inner {
        self.judge.inner()
    }

    pub fn method(&self) -> &Method {
        &self.inner().definition.method
    }

    /// A fence around the item and what else is data in a step.
    pub fn fence(&self, others: &[(&'static str, &str)]) -> Fence {
        fence(&self.inner().digest, &self.item, others)
    }

    /// Asks the judge's own question.
    pub fn ask(&self, fence: &Fence, own: &[(&'static str, Own)], shape: &Shape) -> Result<ChatRequest> {
        self.ask_in(&self.inner().words, &self.item, fence, own, shape)
    }

    /// Asks in the words of a first step, of what these words read: the rest of the item has no part in it, not even in its key.
    pub fn ask_first(&self, words: &ReadyWords, shape: &Shape) -> Result<ChatRequest> {
        let item = self.item.only(&words.reads);
        self.ask_in(words, &item, &fence(&self.inner().digest, &item, &[]), &[], shape)
    }

    /// Asks in these words about this item.
    pub fn ask_in(
        &self,
        words: &ReadyWords,
        item: &Item,
        fence: &Fence,
        own: &[(&'static str, Own)],
        shape: &Shape,
    ) -> Result<ChatRequest> {
        let inner = self.inner();
        let model = inner.model.as_ref().ok_or_else(|| Error::definition("model", "say which model judges"))?;
        Ask { judge: &inner.definition, model, words, fence, item, own, shape }.request()
    }

    /// The verdict that a reply gives.
    pub fn verdict(&self, reply: &Reply, labels: &[Label]) -> Part {
        said::verdict(reply, labels, &self.inner().definition)
    }
}

fn fence(digest: &Sha256Hex, item: &Item, others: &[(&'static str, &str)]) -> Fence {
    let of_item = item.iter().flat_map(|(name, datum): (&String, &Datum)| {
        datum.texts().iter().map(move |text| (name.as_str(), text.as_str()))
    });
    Fence::around(digest, of_item.chain(others.iter().map(|&(name, text)| (name, text))))
}
