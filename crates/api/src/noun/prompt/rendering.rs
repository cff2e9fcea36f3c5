//! What a prompt says with these values: for programs that call a model elsewhere, and to see it before it is kept.

use axum::extract::State;
use http::HeaderMap;
use qd_base::name::ArtifactName;
use qd_catalog::Scope;
use qd_gateway::Endpoint;
use qd_prompt::{Kind, Prompt, Reference, Rendered, Strategy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, ThisRequest};
use crate::noun::prompt::content::PromptContent;
use crate::noun::prompt::version::which_of;
use crate::openai::{call, prompted};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Prompts", "renderPrompt", "What a prompt says with these values")
        .text("Of a kept version, or of 'content' that is not kept. No model is called, but that of the embeddings when examples are chosen by similarity; that needs the scope to infer as well.")
        .takes::<RenderRequest>()
        .gives::<RenderedBody>(200, "What is said, and what a call of a model would say besides");
    vec![Route::post("/api/v1/prompts/{name}/render", Permission::Scope(Scope::Read), doc, render).of_inference()]
}

async fn render(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    ThisRequest(request): ThisRequest,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<RenderRequest>,
) -> Result<Json<RenderedBody>> {
    let (version, prompt) = match (wanted.content, wanted.version) {
        (Some(_), Some(_)) => {
            let message = "Invalid 'content': give either a version or content.";
            return Err(Error::parameter("content", "invalid_value", message));
        }
        (Some(content), None) => {
            content.check()?;
            (None, content)
        }
        (None, which) => {
            let reference =
                which.map_or_else(|| Ok(Reference::usual(name.clone())), |which| which_of(name.clone(), &which))?;
            let found = surface.prompts.get(caller.project(), &reference).await?;
            (Some(found.info.number), found.prompt.clone())
        }
    };
    // Comparing calls the model of embeddings, which costs what a call costs.
    if prompt.needs_examples().is_some_and(|slot| slot.strategy == Strategy::Similar) {
        caller.needs(Scope::Infer)?;
    }
    let context = call::context(&caller, request, &headers);
    let rendered = prompted::render(&surface, &context, &prompt, wanted.variables, "variables").await?;
    let counted = count(&surface, &caller, &prompt, &rendered).await;
    Ok(Json(RenderedBody::of(name, version, prompt, rendered, counted)))
}

/// The tokens of what is said, as the engine here would read them.
async fn count(surface: &Surface, caller: &Caller, prompt: &Prompt, rendered: &Rendered) -> Option<usize> {
    let model = prompt.model.as_ref()?;
    let (endpoint, body) = match rendered {
        Rendered::Chat(messages) => {
            let mut body = json!({"model": model, "messages": messages});
            if !prompt.tools.is_empty() {
                body["tools"] = prompt.tools.clone().into();
            }
            body["tool_choice"] = prompt.tool_choice.clone().filter(|_| !prompt.tools.is_empty()).into();
            (Endpoint::Chat, body)
        }
        Rendered::Text(text) => (Endpoint::Completions, json!({"model": model, "prompt": text})),
    };
    surface.app.gateway.count(caller.project(), endpoint, body.to_string().into()).await
}

/// What is to be rendered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RenderPrompt)]
pub struct RenderRequest {
    /// A number, a label or `latest`; as for fetching when absent.
    pub version: Option<String>,
    /// In place of a kept version: content that need not be kept.
    #[schema(value_type = Option<PromptContent>)]
    pub content: Option<Prompt>,
    /// A value for each variable.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub variables: Map<String, Value>,
}

/// What a prompt says.
#[derive(Serialize, ToSchema)]
#[schema(as = RenderedPrompt)]
pub struct RenderedBody {
    /// The prompt.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// The version; null for content that is not kept.
    pub version: Option<u32>,
    /// `chat` or `text`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Of a chat: the messages.
    #[schema(value_type = Option<Vec<Object>>)]
    pub messages: Option<Value>,
    /// Of a text: the text.
    pub text: Option<String>,
    /// The model that the version names.
    pub model: Option<String>,
    /// The parameters that it names.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// The tools that it names.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Value>,
    /// Which of them.
    #[schema(value_type = Option<Value>)]
    pub tool_choice: Option<Value>,
    /// The form of the answer.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    /// Characters of what is said.
    pub characters: usize,
    /// How many tokens that is.
    pub tokens: usize,
    /// Whether that is an estimate, at four characters each. Tokens are counted when the model is one of the engine here and
    /// is loaded.
    pub tokens_estimated: bool,
}

impl RenderedBody {
    fn of(
        name: ArtifactName,
        version: Option<u32>,
        prompt: Prompt,
        rendered: Rendered,
        counted: Option<usize>,
    ) -> Self {
        let (characters, estimated) = (rendered.chars(), rendered.estimated_tokens());
        let (messages, text) = match rendered {
            Rendered::Chat(messages) => (Some(json!(messages)), None),
            Rendered::Text(text) => (None, Some(text)),
        };
        Self {
            name,
            version,
            kind: prompt.kind,
            messages,
            text,
            model: prompt.model,
            parameters: prompt.parameters,
            tools: prompt.tools,
            tool_choice: prompt.tool_choice,
            response_format: prompt.response_format,
            characters,
            tokens: counted.unwrap_or(estimated),
            tokens_estimated: counted.is_none(),
        }
    }
}
