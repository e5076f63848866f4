//! Errors of the administration, and who may ask.

use super::Desk;
use crate::log::accounts::AccountError;
use crate::log::{PAGE_ROWS, PAGE_ROWS_MAX, Part, TokenHash};
use crate::server::listen::{Accepted, Place};
use crate::server::throttle::TooMany;
use afield_transport::bearer_token;
use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Why a request did nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    /// What happened.
    error: String,
    /// The same in a word that a program understands: `unauthorized`, `too_many`, `not_found`, `method_not_allowed`, `conflict`, `bad_request`,
    /// `timed_out` or `failed`.
    code: &'static str,
    /// What to do about it.
    next: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), code, next: None }
    }

    /// The answer where the relay itself failed; its log says more.
    pub(super) fn failed() -> Self {
        let next = Some("the relay's log has the reason");
        Self { next, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the relay failed") }
    }

    /// The one answer to everybody who is not an administrator now.
    fn unauthorized() -> Self {
        let next = Some("afield-relay token create --admin");
        let error = "this takes the token of an administrator";
        Self { next, ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", error) }
    }

    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        let next = Some("/openapi.json says what is understood");
        Self { next, ..Self::new(StatusCode::BAD_REQUEST, "bad_request", error) }
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::Log(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the administration could not be done");
                Self::failed()
            }
            AccountError::UserExists
            | AccountError::SpaceExists(_)
            | AccountError::SpacePurged(_)
            | AccountError::NoRoomForSpaces
            | AccountError::LastOwner(_)
            | AccountError::OpenAccess => Self::new(StatusCode::CONFLICT, "conflict", text),
            AccountError::Name | AccountError::After => Self::bad_request(text),
            _ => Self::new(StatusCode::NOT_FOUND, "not_found", text),
        }
    }
}

impl From<PathRejection> for Refusal {
    fn from(_: PathRejection) -> Self {
        Self::bad_request("an id or a number in the path is none")
    }
}

impl From<QueryRejection> for Refusal {
    fn from(_: QueryRejection) -> Self {
        Self::bad_request("the query is not understood")
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let error = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body is to be JSON, with `content-type: application/json`",
            _ => "the body is not the JSON that is expected here",
        };
        Self { status, ..Self::bad_request(error) }
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        let error =
            if status == StatusCode::PAYLOAD_TOO_LARGE { "the body is too large" } else { "the body did not arrive" };
        Self { status, ..Self::bad_request(error) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut answer = (status, Json(self)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// A body, or a [`Refusal`].
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
pub(super) struct Body<T>(pub(super) T);

/// A body that may be left out, or a [`Refusal`].
pub(super) struct OptionalBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let request = Request::from_parts(parts, bytes.into());
        let Json(body) = Json::<Option<T>>::from_request(request, state).await?;
        Ok(Self(body.unwrap_or_default()))
    }
}

/// What stands in the path, or a [`Refusal`].
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Refusal))]
pub(super) struct Path<T>(pub(super) T);

/// What stands in the query, or a [`Refusal`].
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Refusal))]
pub(super) struct Query<T>(pub(super) T);

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many rows at the most: 1 to 10,000, and 1,000 unless said otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Option<String>,
    /// The `next` of the answer before; left out for the beginning.
    after: Option<String>,
}

impl Wanted {
    pub(super) fn new(limit: Option<String>, after: Option<String>) -> Self {
        Self { limit, after }
    }

    pub(super) fn part(self) -> Result<Part, Refusal> {
        let limit = self.limit.map_or(Some(PAGE_ROWS), |limit| limit.parse().ok());
        match limit.filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit)) {
            Some(limit) => Ok(Part { after: self.after, limit }),
            None => Err(Refusal::bad_request(format!("`limit` is to be a number from 1 to {PAGE_ROWS_MAX}"))),
        }
    }
}

/// Sends away those of an address that has its connections already.
pub(super) async fn only_so_many_at_once(
    State(desk): State<Desk>,
    Extension(accepted): Extension<Accepted>,
    Extension(place): Extension<Place>,
    request: Request,
    next: Next,
) -> Response {
    let gate = &desk.gate;
    // A connection of a proxy is one of whom it asks for, from here on; of the proxy itself where it asks for nobody.
    let client = gate.client_address(accepted.from, request.headers());
    let of_client = (gate.is_proxy(accepted.from) && client != accepted.from.to_canonical()).then_some(client);
    let taken = match (place.refused, of_client) {
        (Some(refused), _) => Err(refused),
        (None, Some(client)) => gate.let_in(client).inspect(|_| drop(place.take_of_address())),
        (None, None) => Ok(None),
    };
    match taken {
        Ok(_taken_until_answered) => next.run(request).await,
        Err((why, TooMany { retry_after_s })) => {
            gate.throttle.count(why);
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many", "too many connections at once");
            ([(header::RETRY_AFTER, retry_after_s.to_string())], refusal).into_response()
        }
    }
}

/// Lets nobody through but administrators; nobody else learns even what there is to ask.
pub(super) async fn only_administrators(
    State(desk): State<Desk>,
    Extension(accepted): Extension<Accepted>,
    request: Request,
    next: Next,
) -> Response {
    let from = desk.gate.client_address(accepted.from, request.headers());
    let token = bearer_token(request.headers()).ok().flatten().map(|token| TokenHash::of(token.expose()));
    let is_shown = token.is_some();
    let administers = match token {
        Some(token) => desk.with(move |accounts, now| accounts.administers(&token, now)).await,
        None => Ok(false),
    };
    // A good token opens, whoever else guesses at the same address.
    if let Ok(true) = administers {
        return next.run(request).await;
    }
    if let Err(TooMany { retry_after_s }) = desk.gate.throttle.check_sign_in(from) {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many failed attempts to sign in");
        return ([(header::RETRY_AFTER, retry_after_s.to_string())], refusal).into_response();
    }
    match administers {
        Ok(_) => {
            if is_shown {
                desk.gate.throttle.note_failure(from);
            }
            Refusal::unauthorized().into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
