//! One operation's part of the OpenAPI document, and the document made of all of them.

use http::Method;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{IntoParams, ToSchema};

use crate::authentication::SESSION;
use crate::error::ErrorBody;
use crate::permission::Permission;
use crate::route::Route;

/// What the OpenAPI document says of one route, and the schemas that it needs.
pub(crate) struct Doc {
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Doc {
    /// An operation under `tag`, with its unique id and one line about it.
    pub fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let operation = OperationBuilder::new().tag(tag).operation_id(Some(id)).summary(Some(summary));
        Self { operation, schemas: Vec::new() }.refusals()
    }

    /// More about it.
    pub fn text(mut self, description: &'static str) -> Self {
        self.operation = self.operation.description(Some(description));
        self
    }

    /// Takes a JSON body.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Takes bytes of any kind.
    pub fn takes_bytes(mut self) -> Self {
        let body = RequestBodyBuilder::new()
            .content("application/octet-stream", text())
            .required(Some(Required::True))
            .build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Takes a request of OTLP, in either of its forms.
    pub fn takes_otlp(mut self) -> Self {
        let object = || Content::new(Some(RefOr::T(Schema::Object(Object::with_type(Type::Object)))));
        let body = RequestBodyBuilder::new()
            .content("application/json", object())
            .content("application/x-protobuf", text())
            .required(Some(Required::True))
            .build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Answers in the form of the request.
    pub fn gives_otlp(mut self, about: &'static str) -> Self {
        let object = Content::new(Some(RefOr::T(Schema::Object(Object::with_type(Type::Object)))));
        let response = ResponseBuilder::new()
            .description(about)
            .content("application/json", object)
            .content("application/x-protobuf", text());
        self.operation = self.operation.response("200", response);
        self
    }

    /// Takes parameters in the query.
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.operation = self.operation.parameters(Some(T::into_params(|| Some(ParameterIn::Query))));
        self
    }

    /// Answers with JSON.
    pub fn gives<T: ToSchema>(self, status: u16, about: &'static str) -> Self {
        self.gives_also::<T>(status, about, &[])
    }

    /// Answers with JSON or, when asked by `Accept` or by the request itself, with another type.
    pub fn gives_also<T: ToSchema>(mut self, status: u16, about: &'static str, types: &[&'static str]) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        let mut response = ResponseBuilder::new().description(about).content("application/json", content);
        for media in types {
            response = response.content(*media, text());
        }
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// Answers with something that is not JSON.
    pub fn streams(mut self, media: &'static str, about: &'static str) -> Self {
        let response = ResponseBuilder::new().description(about).content(media, text());
        self.operation = self.operation.response("200", response);
        self
    }

    /// Answers without a body.
    pub fn gives_nothing(mut self, about: &'static str) -> Self {
        self.operation = self.operation.response("204", ResponseBuilder::new().description(about));
        self
    }

    /// Every operation refuses in the same form.
    fn refusals(mut self) -> Self {
        let content = Content::new(Some(self.reference::<ErrorBody>()));
        let response = ResponseBuilder::new()
            .description("Any refusal or failure, in OpenAI's form")
            .content("application/json", content);
        self.operation = self.operation.response("default", response);
        self
    }

    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }

    /// Adds what the route itself says: the parameters of its path, and what a caller needs.
    pub fn complete(self, path: &str, permission: Permission) -> Documented {
        let mut operation = self.operation;
        for name in path_parameters(path) {
            operation = operation.parameter(path_parameter(name));
        }
        let operation = match permission {
            Permission::Public => operation.securities(Some([])),
            Permission::SignedIn => operation.security(SecurityRequirement::new::<_, _, &str>("cookie", [])),
            Permission::Scope(scope) => {
                let by = |scheme: &str| SecurityRequirement::new(scheme, [scope.to_string()]);
                operation.security(by("bearer")).security(by("cookie"))
            }
        };
        Documented { operation: operation.build(), schemas: self.schemas }
    }
}

/// A finished operation, and the schemas that it refers to.
pub(crate) struct Documented {
    operation: Operation,
    schemas: Vec<(String, RefOr<Schema>)>,
}

fn text() -> Content {
    Content::new(Some(RefOr::T(Schema::Object(Object::with_type(Type::String)))))
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

fn path_parameter(name: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

/// The OpenAPI 3.1 document of `routes`.
pub(crate) fn document(routes: &[Route]) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie =
        ApiKeyValue::with_description(SESSION, "The name ends with `_` and an id of the server's data folder.");
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let mut schemas: Vec<_> = routes.iter().flat_map(|route| route.documented().schemas.clone()).collect();
    // Sorted, so that the committed document changes only where the surface does.
    schemas.sort_by(|(one, _), (other, _)| one.cmp(other));
    components.schemas.extend(schemas);
    for route in routes {
        paths.add_path_operation(
            route.documented_path(),
            vec![http_method(route.method())],
            route.documented().operation.clone(),
        );
    }
    OpenApiBuilder::new().info(info()).paths(paths).components(Some(components)).build()
}

fn info() -> utoipa::openapi::Info {
    InfoBuilder::new()
        .title("Quarterdeck")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("OpenAI's API under /v1, Quarterdeck's own under /api/v1. Scopes are listed with each operation's security requirement. With the cookie, every request but GET and HEAD needs the header x-csrf-token."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build()
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        Method::PATCH => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}
