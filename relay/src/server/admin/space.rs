//! Spaces, members and invitations.

use super::answer::{Body, Path, Query, Refusal, Wanted};
use super::{Shared, nothing};
use crate::log::accounts::{NewInvitation, Role};
use crate::log::{Token, TokenHash};
use crate::server::SystemEntropy;
use crate::views::{InvitationView, Listed, MemberView, MembershipView, NewInvitationView, SpaceView};
use afield_core::{LogId, SpaceId};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// How long an invitation can be used unless told otherwise, in seconds: a week.
const INVITATION_S: u32 = 7 * 86_400;

/// What a member may do.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(super) enum RoleName {
    /// Reads.
    Reader,
    /// Writes, too.
    Writer,
    /// Keeps the space: there is one always.
    Owner,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Reader => Self::Reader,
            RoleName::Writer => Self::Writer,
            RoleName::Owner => Self::Owner,
        }
    }
}

/// A space to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceOrder {
    /// Its id, as devices have it.
    space: String,
    /// Who is to own it.
    owner: String,
}

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    role: RoleName,
}

/// An invitation to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InvitationOrder {
    /// What whoever uses it may do.
    role: RoleName,
    /// For how many seconds it can be used; a week where this is left out.
    expires_in_s: Option<u32>,
}

/// An invitation to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    /// Who becomes a member.
    user: String,
    /// The code.
    code: String,
}

/// Lists all spaces, in the order in which they came to the relay.
#[utoipa::path(
    get, path = "/v1/spaces", tag = "spaces", params(Wanted),
    responses((status = 200, body = Listed<SpaceView>), (status = 400, body = Refusal), (status = 401, body = Refusal))
)]
pub(super) async fn list_spaces(
    State(desk): Shared,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<SpaceView>>, Refusal> {
    let part = wanted.part()?;
    let spaces = desk.with(move |accounts, _| accounts.list_spaces(&part)).await?;
    Ok(Json(spaces.into()))
}

/// Creates a space that no device brings, such as one that a backup lacks and whose owners have no device left.
#[utoipa::path(
    post, path = "/v1/spaces", tag = "spaces", request_body = SpaceOrder,
    responses(
        (status = 201, body = MembershipView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal), (status = 409, body = Refusal)
    )
)]
pub(super) async fn create_space(
    State(desk): Shared,
    Body(order): Body<SpaceOrder>,
) -> Result<(StatusCode, Json<MembershipView>), Refusal> {
    let (space, fresh) = (parse(&order.space)?, LogId::new(&mut SystemEntropy));
    let owner = order.owner.clone();
    desk.change(move |accounts, now| accounts.create_space(space, &owner, fresh, now)).await?;
    let view = MembershipView { space: space.to_string(), user: order.owner, role: Role::Owner.as_str() };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Lists the members of a space, by name.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/members", tag = "spaces", params(("space" = String, Path), Wanted),
    responses(
        (status = 200, body = Listed<MemberView>), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn list_members(
    State(desk): Shared,
    Path(space): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<MemberView>>, Refusal> {
    let (space, part) = (parse(&space)?, wanted.part()?);
    let members = desk.with(move |accounts, _| accounts.list_members(space, &part)).await?;
    Ok(Json(members.into()))
}

/// Gives a user a role in a space, instead of the one that it has.
#[utoipa::path(
    put, path = "/v1/spaces/{space}/members/{user}", tag = "spaces", request_body = Grant,
    params(("space" = String, Path), ("user" = String, Path)),
    responses(
        (status = 200, body = MembershipView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal), (status = 409, body = Refusal)
    )
)]
pub(super) async fn grant(
    State(desk): Shared,
    Path((space, user)): Path<(String, String)>,
    Body(grant): Body<Grant>,
) -> Result<Json<MembershipView>, Refusal> {
    let (id, role) = (parse(&space)?, Role::from(grant.role));
    let name = user.clone();
    desk.change(move |accounts, now| accounts.grant(id, &name, role, now)).await?;
    Ok(Json(MembershipView { space: id.to_string(), user, role: role.as_str() }))
}

/// Takes a user out of a space.
#[utoipa::path(
    delete, path = "/v1/spaces/{space}/members/{user}", tag = "spaces",
    params(("space" = String, Path), ("user" = String, Path)),
    responses(
        (status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 404, body = Refusal),
        (status = 409, body = Refusal)
    )
)]
pub(super) async fn remove_member(
    State(desk): Shared,
    Path((space, user)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let space = parse(&space)?;
    desk.change(move |accounts, now| accounts.remove_member(space, &user, now)).await?;
    Ok(nothing())
}

/// Lists the invitations to a space, used ones too, never showing a code.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/invitations", tag = "invitations", params(("space" = String, Path), Wanted),
    responses(
        (status = 200, body = Listed<InvitationView>), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn list_invitations(
    State(desk): Shared,
    Path(space): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<InvitationView>>, Refusal> {
    let (space, part) = (parse(&space)?, wanted.part()?);
    let invitations = desk.with(move |accounts, _| accounts.list_invitations(space, &part)).await?;
    Ok(Json(invitations.into()))
}

/// Makes an invitation to a space and shows its code, this once.
#[utoipa::path(
    post, path = "/v1/spaces/{space}/invitations", tag = "invitations", request_body = InvitationOrder,
    params(("space" = String, Path)),
    responses(
        (status = 201, body = NewInvitationView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn invite(
    State(desk): Shared,
    Path(space): Path<String>,
    Body(order): Body<InvitationOrder>,
) -> Result<(StatusCode, Json<NewInvitationView>), Refusal> {
    let (space, role) = (parse(&space)?, Role::from(order.role));
    let code = Token::invitation(space, &mut SystemEntropy);
    let shown = code.reveal().to_owned();
    let (number, expires_ms) = desk
        .change(move |accounts, now| {
            let expires_in_ms = i64::from(order.expires_in_s.unwrap_or(INVITATION_S)) * 1_000;
            let expires_wall_ms = now.wall_ms.saturating_add(expires_in_ms);
            Ok((accounts.invite(&code, NewInvitation { space, role, expires_wall_ms }, now)?, expires_wall_ms))
        })
        .await?;
    Ok((StatusCode::CREATED, Json(NewInvitationView { number, code: shown, expires_ms })))
}

/// Withdraws an invitation that was not used.
#[utoipa::path(
    delete, path = "/v1/invitations/{number}", tag = "invitations", params(("number" = i64, Path)),
    responses((status = 204), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn withdraw(State(desk): Shared, Path(number): Path<i64>) -> Result<Response, Refusal> {
    desk.change(move |accounts, now| accounts.withdraw(number, now)).await?;
    Ok(nothing())
}

/// Makes a user a member with an invitation, which is used up by that; who has it can do so on a device, too.
#[utoipa::path(
    post, path = "/v1/invitations/accept", tag = "invitations", request_body = Acceptance,
    responses(
        (status = 200, body = MembershipView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn accept(
    State(desk): Shared,
    Body(acceptance): Body<Acceptance>,
) -> Result<Json<MembershipView>, Refusal> {
    let code = TokenHash::of(acceptance.code.trim());
    let user = acceptance.user.clone();
    let (space, role) = desk.change(move |accounts, now| accounts.accept(&code, &user, now)).await?;
    Ok(Json(MembershipView { space: space.to_string(), user: acceptance.user, role: role.as_str() }))
}

pub(super) fn parse(space: &str) -> Result<SpaceId, Refusal> {
    space.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the id of a space is none"))
}
