//! The API document: valid by itself, and true of every answer in the tests of this folder.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::{Method, StatusCode};
use serde_json::Value;

/// The document as it is served.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = server::api::router::description().to_json().unwrap();
    serde_json::from_str(&text).unwrap()
});

/// Each operation: method, path, and its description.
fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

/// Whether a path of a request is one of a template: `/api/v1/runs/x` of `/api/v1/runs/{id}`.
fn is_of(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let is_part = |(of, part): (&&str, &&str)| of == part || of.starts_with('{') && !part.is_empty();
    template.len() == path.len() && template.iter().zip(&path).all(is_part)
}

/// Checks that the document describes this status of the operation, where the path has one.
pub(crate) fn check(method: &Method, path: &str, status: StatusCode) {
    // `/runs/import` is not the run `import`: the template without a parameter is the one that is routed to.
    let of_path = operations().filter(|(of, template, _)| of == method.as_str() && is_of(template, path));
    let Some((.., operation)) = of_path.min_by_key(|(_, template, _)| template.matches('{').count()) else { return };
    let described = operation["responses"].as_object().unwrap();
    assert!(
        described.contains_key(status.as_str()),
        "{method} {path} answers {status}, and the API document describes {:?}",
        described.keys().collect::<Vec<_>>()
    );
}

/// Calls `take` with each object below a value.
fn each_object(value: &'static Value, take: &mut impl FnMut(&'static serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            take(object);
            object.values().for_each(|value| each_object(value, take));
        }
        Value::Array(values) => values.iter().for_each(|value| each_object(value, take)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_resolves() {
    let (mut count, mut missing) = (0, BTreeSet::new());
    each_object(&DOCUMENT, &mut |object| {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            count += 1;
            if DOCUMENT.pointer(reference.trim_start_matches('#')).is_none() {
                missing.insert(reference);
            }
        }
    });
    assert!(count > 100, "{count} references");
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn parameters_of_the_path_appear_in_it_and_others_are_of_the_query() {
    for (method, path, operation) in operations() {
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        let names = |place: &str| -> BTreeSet<&str> {
            let of = parameters.iter().filter(|parameter| parameter["in"] == place);
            of.map(|parameter| parameter["name"].as_str().unwrap()).collect()
        };
        assert_eq!(names("path"), in_path, "{method} {path}");
        assert_eq!(names("path").len() + names("query").len(), parameters.len(), "{method} {path}: {parameters:?}");
        for parameter in &parameters {
            assert!(parameter["schema"].is_object(), "{method} {path}: {parameter}");
            assert!(parameter["in"] != "path" || parameter["required"] == true, "{method} {path}: {parameter}");
        }
    }
}

#[test]
fn every_operation_has_a_unique_id_and_describes_success_and_errors() {
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations() {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['1', '2'])), "{method} {path}");
        for (status, response) in responses {
            let description = response["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{method} {path} {status}: {response}");
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            let is_error = status.starts_with(['4', '5']);
            // A refused import has the list of what would be skipped beside the fields of other errors.
            let is_body =
                ["ApiErrorBody", "ImportRefusal"].iter().any(|name| schema == &format!("#/components/schemas/{name}"));
            assert!(!is_error || is_body, "{method} {path} {status}: {response}");
        }
        for status in ["401", "403", "500"] {
            assert!(responses.contains_key(status), "{method} {path} {status}");
        }
    }
}
