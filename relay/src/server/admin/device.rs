//! Devices, and the sessions that some of them have now.

use super::answer::{Body, OptionalBody, Path, Query, Refusal, Wanted};
use super::{Desk, Shared, nothing, space};
use crate::hub::{Hub, Occurrence, SessionSummary};
use crate::log::Part;
use crate::log::accounts::{SessionFilter, ShownTokens};
use crate::views::{DeviceView, Listed, SessionView, SignedOutView};
use afield_core::DeviceId;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which devices are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Only those of this user.
    user: Option<String>,
    /// How many rows at the most: 1 to 10,000, and 1,000 unless said otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Option<String>,
    /// The `next` of the answer before; left out for the beginning.
    after: Option<String>,
}

/// Which sessions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhoIsHere {
    /// Only those of this user.
    user: Option<String>,
    /// Only those of this device.
    device: Option<String>,
    /// Only those that have this space open.
    space: Option<String>,
    /// How many rows at the most: 1 to 10,000, and 1,000 unless said otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Option<String>,
    /// The `next` of the answer before; left out for the beginning.
    after: Option<String>,
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

/// Lists devices that have signed in, user by user, in an order that stays while they come and go.
#[utoipa::path(
    get, path = "/v1/devices", tag = "devices", params(Whose),
    responses(
        (status = 200, body = Listed<DeviceView>), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn list_devices(
    State(desk): Shared,
    Query(whose): Query<Whose>,
) -> Result<Json<Listed<DeviceView>>, Refusal> {
    let Whose { user, limit, after } = whose;
    let part = Wanted::new(limit, after).part()?;
    let _ = desk.engine.ask(Hub::note_devices).await;
    let devices = desk.with(move |accounts, _| accounts.list_devices(user.as_deref(), &part)).await?;
    Ok(Json(devices.into()))
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
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(WhoIsHere),
    responses(
        (status = 200, body = Listed<SessionView>), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn list_sessions(
    State(desk): Shared,
    Query(wanted): Query<WhoIsHere>,
) -> Result<Json<Listed<SessionView>>, Refusal> {
    let WhoIsHere { user, device, space, limit, after } = wanted;
    let part = Wanted::new(limit, after).part()?;
    let device = device.as_deref().map(parse).transpose()?;
    let space = space.as_deref().map(space::parse).transpose()?;
    let filter = SessionFilter { user, device, space };
    // What is written down says whether there are such a user and such a space; who is here the relay knows better.
    let named = filter.clone();
    desk.with(move |accounts, _| accounts.list_sessions(&named, &Part { after: None, limit: 1 })).await?;
    let live = desk.engine.ask(move |hub, now| (hub.note_devices(now), hub.list_sessions(&filter, &part)).1).await;
    let live = live.ok_or_else(Refusal::failed)??;
    // Without access control nobody has a name, and neither has a device.
    let named = |session: &SessionSummary| (session.user.clone().unwrap_or_default(), session.device);
    let devices: Vec<_> = live.rows.iter().map(named).collect();
    let names = desk.with(move |accounts, _| accounts.device_names(&devices)).await?;
    let mut names = names.into_iter();
    Ok(Json(live.map(|session| SessionView { name: names.next().flatten(), ..session.into() }).into()))
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
