//! What the document of the HTTP API says of all verbs alike.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

/// The name of the schema of what is told of an error.
const ERROR: &str = "Error";

const NOT_UNDERSTOOD: (&str, &str) = ("400", "What stands in the path, the query or the body is not understood");
/// What any request may be answered with.
const ANY: [(&str, &str); 4] = [
    ("408", "The request did not come in time"),
    ("429", "Too many wrong tokens were shown from this address; `retry-after` says when to come back"),
    ("500", "The relay failed; its log has the reason"),
    ("503", "Too many requests are answered now; `retry-after` says when to come back"),
];
/// What a request with something to read in its path or its query may be answered with.
const WITH_PARAMETERS: [(&str, &str); 1] =
    [("400", "What stands in the path, the query or the body is not understood")];
/// What a request with a body may be answered with.
const WITH_BODY: [(&str, &str); 4] = [
    NOT_UNDERSTOOD,
    ("413", "The body is too large"),
    ("415", "The body is not said to be JSON"),
    ("422", "The body is not the JSON that is expected here"),
];

/// Adds to every verb what it may be answered with besides what its own description names.
pub(super) fn completed(mut document: OpenApi) -> OpenApi {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        answers(operation, &ANY);
        if operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
            answers(operation, &WITH_PARAMETERS);
        }
        if operation.request_body.is_some() {
            answers(operation, &WITH_BODY);
        }
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = path;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

fn answers(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, description) in answers {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ERROR))).build();
        let answer = ResponseBuilder::new().description(*description).content("application/json", content).build();
        operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(answer));
    }
}
