//! Every route declares a permission, is in the document, and keeps to it.

use std::collections::BTreeSet;

use http::Method;
use qd_api::Permission;
use qd_catalog::Scope;
use serde_json::Value;

use crate::house::{House, request};

/// A path that the router takes for `path`.
fn concrete(path: &str) -> String {
    let segment = |segment: &str| {
        if segment.starts_with('{') { "00000000-0000-7000-8000-000000000000".to_owned() } else { segment.to_owned() }
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A scope that does not include `needed`.
fn without(needed: Scope) -> Scope {
    match needed {
        Scope::Infer => Scope::Read,
        Scope::Read | Scope::Write | Scope::Admin => Scope::Infer,
    }
}

#[test]
fn the_document_and_the_table_have_the_same_operations() {
    let document: Value = serde_json::from_str(&qd_api::openapi()).unwrap();
    let table = qd_api::table();
    let in_table: BTreeSet<_> =
        table.iter().map(|route| (route.documented_path(), route.method().as_str().to_lowercase())).collect();
    assert_eq!(in_table.len(), table.len(), "no route stands twice in the table");
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |(path, item): (&String, &Value)| {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    };
    let in_document: BTreeSet<_> = paths.flat_map(methods).collect();
    assert_eq!(in_document, in_table);
}

#[test]
fn the_document_tells_each_route_s_permission() {
    let document: Value = serde_json::from_str(&qd_api::openapi()).unwrap();
    for route in qd_api::table() {
        let operation = &document["paths"][route.documented_path()][route.method().as_str().to_lowercase()];
        let expected = match route.permission() {
            Permission::Public => serde_json::json!([]),
            Permission::SignedIn => serde_json::json!([{"cookie": []}]),
            Permission::Scope(scope) => {
                serde_json::json!([{"bearer": [scope.to_string()]}, {"cookie": [scope.to_string()]}])
            }
        };
        assert_eq!(operation["security"], expected, "{} {}", route.method(), route.path());
        assert!(operation["operationId"].is_string() && operation["summary"].is_string());
    }
}

#[tokio::test]
async fn without_a_key_every_route_but_the_public_ones_refuses() {
    let house = House::open().await;
    for route in qd_api::table() {
        let answer = house.call(request(route.method().clone(), &concrete(route.path()), None, None)).await;
        match route.permission() {
            // Only signing in wants a body, and gets none here.
            Permission::Public if route.method() == Method::POST => {
                drop(answer.refused(415, "unsupported_content_type"))
            }
            Permission::Public => assert!(answer.status.is_success(), "{} {}", route.method(), route.path()),
            Permission::SignedIn => drop(answer.refused(401, "not_signed_in")),
            Permission::Scope(_) => drop(answer.refused(401, "invalid_api_key")),
        }
    }
}

#[tokio::test]
async fn without_the_scope_every_route_refuses() {
    let house = House::open().await;
    for route in qd_api::table() {
        let Permission::Scope(needed) = route.permission() else { continue };
        let key = house.key(&[without(needed)]).await;
        let answer =
            house.call(request(route.method().clone(), &concrete(route.path()), Some(&key), Some("{}".into()))).await;
        let error = answer.refused(403, "missing_scope");
        assert!(error["message"].as_str().unwrap().contains(&needed.to_string()), "{error}");
    }
}

#[tokio::test]
async fn the_router_has_no_route_beside_the_table() {
    let house = House::open().await;
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let table = qd_api::table();
    for route in &table {
        for method in &methods {
            let known = table.iter().any(|other| other.path() == route.path() && other.method() == method);
            let answer = house.call(request(method.clone(), &concrete(route.path()), None, None)).await;
            assert_eq!(answer.status == 405, !known, "{method} {}", route.path());
        }
    }
}
