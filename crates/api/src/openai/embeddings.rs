//! `POST /v1/embeddings`.

use axum::extract::State;
use axum::response::Response;
use qd_catalog::Scope;
use qd_gateway::Endpoint;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::JsonBytes;
use crate::json;
use crate::openai::call::{self, Calling};
use crate::openai::prompted::PROMPT;
use crate::openai::range;
use crate::openai::shape::{Input, Item, Text};
use crate::permission::Permission;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Embeddings", "createEmbedding", "Turn texts into vectors")
        .takes::<EmbeddingRequest>()
        .gives::<EmbeddingResponse>(200, "The vectors");
    vec![Route::post("/v1/embeddings", Permission::Scope(Scope::Infer), doc, create).of_inference()]
}

async fn create(
    State(surface): State<Shared>,
    Calling { context, prompt }: Calling,
    JsonBytes(body): JsonBytes,
) -> Result<Response> {
    if prompt.is_some() {
        let message = "A prompt has no words for embeddings; leave the header x-quarterdeck-prompt out.";
        return Err(Error::parameter(PROMPT, "invalid_value", message));
    }
    json::read::<EmbeddingRequest>(&body, surface.app.config.limits.json_depth)?.check()?;
    call::answer(&surface, context, Endpoint::Embeddings, body, false).await
}

/// OpenAI's limit on the inputs of one request.
const MOST_INPUTS: usize = 2048;

/// Texts to be turned into vectors.
///
/// <https://platform.openai.com/docs/api-reference/embeddings/create>
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateEmbeddingRequest)]
pub struct EmbeddingRequest<'a> {
    /// A route, `provider/model`, or an installed model.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub model: Text<'a>,
    /// One or at most 2048 inputs, as text or tokens, none of them empty.
    pub input: Input,
    /// `float` or `base64`: little-endian 32-bit floats.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub encoding_format: Option<Text<'a>>,
    /// How many dimensions to keep, for models that allow it.
    #[schema(minimum = 1)]
    pub dimensions: Option<i64>,
    /// The end user.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub user: Option<Text<'a>>,
}

impl EmbeddingRequest<'_> {
    /// Checks what OpenAI's reference documents.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the field's path.
    pub fn check(&self) -> Result<()> {
        range::model(&self.model.0)?;
        range::integer("dimensions", self.dimensions, 1, 1 << 20)?;
        if let Some(format) = &self.encoding_format {
            range::one_of("encoding_format", &format.0, &["float", "base64"])?;
        }
        match &self.input {
            Input::Text { empty: true } => Err(empty_input("input")),
            Input::Text { empty: false } => Ok(()),
            Input::Items(items) => check_items(items),
        }
    }
}

fn check_items(items: &[Item]) -> Result<()> {
    let most = if items.first() == Some(&Item::Token) { usize::MAX } else { MOST_INPUTS };
    range::items("input", items.len(), most)?;
    let empty = items.iter().position(|item| matches!(item, Item::Text { empty: true } | Item::Tokens { count: 0 }));
    empty.map_or(Ok(()), |place| Err(empty_input(&format!("input[{place}]"))))
}

fn empty_input(path: &str) -> Error {
    Error::parameter(path, "invalid_value", format!("Invalid '{path}': input cannot be empty."))
}

/// The vectors of the inputs, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateEmbeddingResponse)]
pub struct EmbeddingResponse {
    /// `list`
    pub object: String,
    /// One entry an input.
    pub data: Vec<EmbeddingItem>,
    /// The model that answered.
    pub model: String,
    /// What it took.
    pub usage: EmbeddingUsage,
}

/// The vector of one input.
#[derive(Serialize, ToSchema)]
#[schema(as = Embedding)]
pub struct EmbeddingItem {
    /// `embedding`
    pub object: String,
    /// The input's number.
    pub index: i64,
    /// The numbers, or their base64.
    #[schema(value_type = EmbeddingVector)]
    pub embedding: serde_json::Value,
}

/// A vector as numbers or as base64.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum EmbeddingVector {
    /// The numbers.
    Float(Vec<f32>),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

/// How many tokens the inputs took.
#[derive(Serialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, param: Option<&str>) {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        match (json::read::<EmbeddingRequest>(body.as_bytes(), 64).and_then(|request| request.check()), param) {
            (Ok(()), None) => {}
            (Err(Error::Parameter { param: Some(found), .. }), Some(param)) => assert_eq!(found, param, "{body}"),
            (outcome, _) => panic!("{body} gave {outcome:?}"),
        }
    }

    #[test]
    fn inputs_in_every_form() {
        for input in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2,3]]"] {
            check(&format!(r#""input":{input},"encoding_format":"base64","dimensions":64"#), None);
        }
    }

    #[test]
    fn refused_inputs() {
        check(r#""input":"""#, Some("input"));
        check(r#""input":[]"#, Some("input"));
        check(r#""input":["a",""]"#, Some("input[1]"));
        check(r#""input":[[1],[]]"#, Some("input[1]"));
        check(r#""input":null"#, Some("input"));
        check(r#""encoding_format":"float""#, Some("input"));
        check(r#""input":"a","encoding_format":"hex""#, Some("encoding_format"));
        check(r#""input":"a","dimensions":0"#, Some("dimensions"));
        let many = vec!["\"x\""; MOST_INPUTS + 1].join(",");
        check(&format!(r#""input":[{many}]"#), Some("input"));
    }
}
