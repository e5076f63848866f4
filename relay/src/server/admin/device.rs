//! Devices, and the sessions that some of them have now.

use super::answer::{Body, OptionalBody, Path, Query, Refusal};
use super::{Desk, Shared, nothing};
use crate::hub::{Hub, Occurrence};
use crate::log::accounts::ShownTokens;
use crate::views::{DeviceView, SessionView, SignedOutView};
use afield_core::DeviceId;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Which devices are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Only those of this user.
    user: Option<String>,
}

/// A name to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Naming {
    /// The device's name: 1 to 120 characters.
    name: String,
}

/// What becomes of the tokens of a device that is signed out.
#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SignOutOrder {
    /// Whether the tokens that it has shown stay good for other devices that use them; unless said otherwise they end.
    #[serde(default)]
    keep_tokens: bool,
}

impl SignOutOrder {
    fn tokens(&self) -> ShownTokens {
        if self.keep_tokens { ShownTokens::Keep } else { ShownTokens::Revoke }
    }
}

/// Lists devices that have signed in, the one that was here last first.
#[utoipa::path(
    get, path = "/v1/devices", tag = "devices", params(Whose),
    responses((status = 200, body = [DeviceView]), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn list_devices(
    State(desk): Shared,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<DeviceView>>, Refusal> {
    let _ = desk.engine.ask(Hub::note_devices).await;
    let devices = desk.with(move |accounts, _| accounts.devices(whose.user.as_deref())).await?;
    Ok(Json(devices.into_iter().map(DeviceView::from).collect()))
}

/// Gives a device a name.
#[utoipa::path(
    patch, path = "/v1/devices/{user}/{device}", tag = "devices", request_body = Naming,
    params(("user" = String, Path), ("device" = String, Path)),
    responses((status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn name_device(
    State(desk): Shared,
    Path((user, device)): Path<(String, String)>,
    Body(naming): Body<Naming>,
) -> Result<Response, Refusal> {
    let device = parse(&device)?;
    note_live(&desk, &user, device).await;
    desk.with(move |accounts, _| accounts.name_device(&user, device, &naming.name)).await?;
    Ok(nothing())
}

/// Signs a device out: all tokens that it has shown end unless they are to be kept, and its session before this is answered.
#[utoipa::path(
    post, path = "/v1/devices/{user}/{device}/sign-out", tag = "devices", request_body = Option<SignOutOrder>,
    params(("user" = String, Path), ("device" = String, Path)),
    responses(
        (status = 200, body = SignedOutView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn sign_out_device(
    State(desk): Shared,
    Path((user, device)): Path<(String, String)>,
    OptionalBody(order): OptionalBody<SignOutOrder>,
) -> Result<Json<SignedOutView>, Refusal> {
    let device = parse(&device)?;
    sign_out(&desk, user, device, order).await
}

/// Lists the devices that are connected now, the one that has been for longest first.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", responses((status = 200, body = [SessionView]), (status = 401, body = Refusal)))]
pub(super) async fn list_sessions(State(desk): Shared) -> Result<Json<Vec<SessionView>>, Refusal> {
    let live = desk.engine.ask(|hub, now| (hub.note_devices(now), hub.sessions()).1).await;
    let live = live.ok_or_else(Refusal::failed)?;
    let devices = desk.with(|accounts, _| accounts.devices(None)).await?;
    let names: HashMap<_, _> =
        devices.into_iter().filter_map(|device| Some(((device.user, device.id), device.name?))).collect();
    let listed = live.into_iter().map(|session| {
        let name = session.user.clone().and_then(|user| names.get(&(user, session.device)).cloned());
        SessionView { name, ..session.into() }
    });
    Ok(Json(listed.collect()))
}

/// Signs out the device of a session, as signing it out by its id does: the session ends before this is answered.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}", tag = "sessions", params(("session" = String, Path), SignOutOrder),
    responses(
        (status = 200, body = SignedOutView), (status = 401, body = Refusal), (status = 404, body = Refusal),
        (status = 409, body = Refusal)
    )
)]
pub(super) async fn sign_out_session(
    State(desk): Shared,
    Path(session): Path<String>,
    Query(order): Query<SignOutOrder>,
) -> Result<Json<SignedOutView>, Refusal> {
    let found = desk.engine.ask(move |hub, _| hub.sessions().into_iter().find(|live| live.id.to_string() == session));
    let found = found.await.ok_or_else(Refusal::failed)?;
    let Some(live) = found else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such session now"));
    };
    let Some(user) = live.user else {
        let error = "this relay lets anyone in: there is nobody who could be signed out";
        return Err(Refusal::new(StatusCode::CONFLICT, "conflict", error));
    };
    sign_out(&desk, user, live.device, order).await
}

async fn sign_out(
    desk: &Desk,
    user: String,
    device: DeviceId,
    order: SignOutOrder,
) -> Result<Json<SignedOutView>, Refusal> {
    note_live(desk, &user, device).await;
    let (name, tokens) = (user.clone(), order.tokens());
    let signed_out = desk.change(move |accounts, now| accounts.sign_out_device(&name, device, tokens, now)).await?;
    desk.note(Occurrence::DeviceSignedOut(user, device)).await;
    Ok(Json(signed_out.into()))
}

/// Has the relay write down that a device is here, where it is.
async fn note_live(desk: &Desk, user: &str, device: DeviceId) {
    let user = user.to_owned();
    // Where the relay's thread has ended, nobody is here.
    let _ = desk.engine.ask(move |hub, now| hub.note_live_device(&user, device, now)).await;
}

fn parse(device: &str) -> Result<DeviceId, Refusal> {
    device.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the id of a device is none"))
}
