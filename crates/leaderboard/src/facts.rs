//! What is known of a model beside its answers: size, context, licence, prices; and which models somebody would take.

use qd_base::Usage;
use qd_gateway::{Gateway, Pinned};
use qd_model::Models;
use serde::Serialize;

use crate::Result;

/// Tokens that prices are told for.
const MILLION: u64 = 1_000_000;

/// What is known of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Facts {
    /// What its name stands for.
    pub target: Option<String>,
    /// Whether it runs in this process.
    pub is_local: bool,
    /// Whether it can be asked now.
    pub is_available: bool,
    /// Bytes on disk.
    pub size_bytes: Option<u64>,
    /// Numbers in all its tensors.
    pub parameters: Option<u64>,
    /// How most of its weights are stored.
    pub quantisation: Option<String>,
    /// Tokens of context.
    pub context: Option<u64>,
    /// An SPDX id, or the name of the terms that apply.
    pub licence: Option<String>,
    /// Dollars for a million tokens of prompts.
    pub input_usd_per_million: Option<f64>,
    /// Dollars for a million tokens of answers.
    pub output_usd_per_million: Option<f64>,
}

/// Which models somebody would take. What is not known of a model does not pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// At most so many bytes on disk.
    pub max_size_bytes: Option<u64>,
    /// At least so many tokens a second here.
    pub min_tokens_per_second: Option<f64>,
    /// At least so many tokens of context.
    pub min_context: Option<u64>,
    /// At most so many dollars for a million tokens of answers.
    pub max_output_usd_per_million: Option<f64>,
    /// Only this licence.
    pub licence: Option<String>,
}

impl Facts {
    /// What is known of the model that a name stood for.
    ///
    /// # Errors
    /// [`crate::Error::Model`] when the list of models cannot be read.
    pub async fn of(gateway: &Gateway, models: &Models, target: Option<&Pinned>) -> Result<Self> {
        let Some(target) = target else { return Ok(Self::default()) };
        let of = |input_tokens, output_tokens| {
            let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
            gateway.price_of(target, usage).map(|cost| cost.as_dollars())
        };
        let facts = Self {
            target: Some(target.to_string()),
            is_available: true,
            input_usd_per_million: of(MILLION, 0),
            output_usd_per_million: of(0, MILLION),
            ..Self::default()
        };
        if target.provider.as_str() != "local" {
            return Ok(facts);
        }
        let name = target.model.rsplit_once('@').map_or(target.model.as_str(), |(name, _)| name);
        let record = match models.show(name).await {
            Ok(record) => record,
            Err(qd_model::Error::Unknown { .. }) => {
                return Ok(Self { is_local: true, is_available: false, ..facts });
            }
            Err(error) => return Err(error.into()),
        };
        let manifest = record.installed.as_ref().map(|installed| &installed.manifest);
        Ok(Self {
            is_local: true,
            is_available: record.installed.is_some(),
            size_bytes: Some(manifest.map_or(record.size_bytes, |manifest| manifest.size_bytes())),
            parameters: manifest.and_then(|manifest| manifest.parameters),
            quantisation: manifest.and_then(|manifest| manifest.quantisation.clone()),
            context: record.context,
            licence: record.licence,
            ..facts
        })
    }
}

impl Filter {
    /// Why a model does not pass.
    pub fn refuses(&self, facts: &Facts, tokens_per_second: Option<f64>) -> Option<String> {
        let local_price = if facts.is_local { Some(0.0) } else { None };
        let numbers = [
            ("its size", facts.size_bytes.map(|n| n as f64), None, self.max_size_bytes.map(|n| n as f64)),
            ("its speed here", tokens_per_second, self.min_tokens_per_second, None),
            ("its context", facts.context.map(|n| n as f64), self.min_context.map(|n| n as f64), None),
            ("its price", facts.output_usd_per_million.or(local_price), None, self.max_output_usd_per_million),
        ];
        for (what, found, least, most) in numbers {
            match (found, least, most) {
                (_, None, None) => {}
                (None, ..) => return Some(format!("{what} is not known")),
                (Some(found), Some(least), _) if found < least => {
                    return Some(format!("{what} is {found:.1}, below {least}"));
                }
                (Some(found), _, Some(most)) if found > most => {
                    return Some(format!("{what} is {found}, above {most}"));
                }
                _ => {}
            }
        }
        let wanted = self.licence.as_ref()?;
        match &facts.licence {
            Some(licence) if licence.eq_ignore_ascii_case(wanted) => None,
            Some(licence) => Some(format!("its licence is {licence}")),
            None => Some("its licence is not known".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_small_and_fast_enough_passes() {
        let facts = Facts {
            is_local: true,
            size_bytes: Some(98_000_000),
            licence: Some("Apache-2.0".to_owned()),
            ..Facts::default()
        };
        let filter =
            Filter { max_size_bytes: Some(1_000_000_000), min_tokens_per_second: Some(30.0), ..Filter::default() };
        assert_eq!(filter.refuses(&facts, Some(31.0)), None);
        assert_eq!(filter.refuses(&facts, Some(29.0)).unwrap(), "its speed here is 29.0, below 30");
        assert_eq!(filter.refuses(&facts, None).unwrap(), "its speed here is not known");
        let large = Facts { size_bytes: Some(2_000_000_000), ..facts.clone() };
        assert!(filter.refuses(&large, Some(31.0)).unwrap().contains("above"));
        let price = Filter { max_output_usd_per_million: Some(1.0), ..Filter::default() };
        assert_eq!(price.refuses(&facts, None), None, "nobody is paid for what runs here");
        let licence = Filter { licence: Some("apache-2.0".to_owned()), ..Filter::default() };
        assert_eq!(licence.refuses(&facts, None), None);
        assert!(licence.refuses(&Facts::default(), None).is_some());
    }
}
