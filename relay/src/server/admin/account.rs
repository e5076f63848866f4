//! Users and tokens.

use super::answer::{Body, Path, Query, Refusal, Wanted};
use super::{Shared, nothing};
use crate::hub::Occurrence;
use crate::log::Token;
use crate::log::accounts::{NewToken, check_name};
use crate::server::SystemEntropy;
use crate::views::{Listed, NewTokenView, SignedOutView, TokenView, UserView};
use afield_core::SpaceId;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// Its name: 1 to 120 characters.
    name: String,
}

/// What is to be another way with a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    /// Whether the account is closed.
    disabled: bool,
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenOrder {
    /// Whose it is; the default user's where this is left out.
    user: Option<String>,
    /// What its holder calls it, such as the device it is for.
    name: Option<String>,
    /// The spaces it is for; all of its user's where this is left out.
    #[serde(default)]
    spaces: Vec<String>,
    /// Whether it may only read.
    #[serde(default)]
    read_only: bool,
    /// Whether it may bring spaces to the relay that were made offline; unless said otherwise it may where it may write.
    may_create_spaces: Option<bool>,
    /// Whether it opens the administration; it signs no device in then.
    #[serde(default)]
    admin: bool,
    /// For how many seconds it is good; for ever where this is left out.
    expires_in_s: Option<u32>,
}

/// Lists all users, in the order in which they were made.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(Wanted),
    responses((status = 200, body = Listed<UserView>), (status = 400, body = Refusal), (status = 401, body = Refusal))
)]
pub(super) async fn list_users(
    State(desk): Shared,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<UserView>>, Refusal> {
    let part = wanted.part()?;
    let users = desk.with(move |accounts, _| accounts.list_users(&part)).await?;
    Ok(Json(users.into()))
}

/// Makes a user.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 409, body = Refusal))
)]
pub(super) async fn create_user(State(desk): Shared, Body(new): Body<NewUser>) -> Result<StatusCode, Refusal> {
    desk.change(move |accounts, now| accounts.create_user(&new.name, now)).await?;
    Ok(StatusCode::CREATED)
}

/// Closes an account to sign-ins, or opens it again. Its sessions end before this is answered.
#[utoipa::path(
    patch, path = "/v1/users/{name}", tag = "users", request_body = UserChange, params(("name" = String, Path)),
    responses((status = 204), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn change_user(
    State(desk): Shared,
    Path(name): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<Response, Refusal> {
    let user = name.clone();
    desk.change(move |accounts, now| accounts.set_user_enabled(&name, !change.disabled, now)).await?;
    desk.note(if change.disabled { Occurrence::AccountClosed(user) } else { Occurrence::AccountOpened(user) }).await;
    Ok(nothing())
}

/// Signs out everything of a user: its tokens end, and its sessions before this is answered.
#[utoipa::path(
    post, path = "/v1/users/{name}/sign-out", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = SignedOutView), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn sign_out_user(
    State(desk): Shared,
    Path(name): Path<String>,
) -> Result<Json<SignedOutView>, Refusal> {
    let user = name.clone();
    let signed_out = desk.change(move |accounts, now| accounts.sign_out_user(&name, now)).await?;
    desk.note(Occurrence::UserSignedOut(user)).await;
    Ok(Json(signed_out.into()))
}

/// Lists all tokens, ended ones too, never showing one.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", params(Wanted),
    responses((status = 200, body = Listed<TokenView>), (status = 400, body = Refusal), (status = 401, body = Refusal))
)]
pub(super) async fn list_tokens(
    State(desk): Shared,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed<TokenView>>, Refusal> {
    let part = wanted.part()?;
    let tokens = desk.with(move |accounts, _| accounts.list_tokens(&part)).await?;
    Ok(Json(tokens.into()))
}

/// Makes a token and shows it, this once.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", request_body = TokenOrder,
    responses(
        (status = 201, body = NewTokenView), (status = 400, body = Refusal), (status = 401, body = Refusal),
        (status = 404, body = Refusal)
    )
)]
pub(super) async fn create_token(
    State(desk): Shared,
    Body(order): Body<TokenOrder>,
) -> Result<(StatusCode, Json<NewTokenView>), Refusal> {
    let spaces = order.spaces.iter().map(|id| id.parse::<SpaceId>()).collect::<Result<Vec<_>, _>>();
    let Ok(spaces) = spaces else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the id of a space is none"));
    };
    order.name.as_deref().map(check_name).transpose()?;
    if order.admin && (order.read_only || !spaces.is_empty() || order.may_create_spaces == Some(true)) {
        let error = "a token of an administrator signs no device in: it has no spaces and no rights in them";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", error));
    }
    let token = Token::new(&mut SystemEntropy);
    let shown = token.reveal().to_owned();
    let (number, expires_ms) = desk
        .change(move |accounts, now| {
            let expires_wall_ms = order.expires_in_s.map(|s| now.wall_ms.saturating_add(i64::from(s) * 1_000));
            let may_create = order.may_create_spaces.unwrap_or(true) && !order.read_only && !order.admin;
            let new = NewToken {
                user: order.user,
                name: order.name,
                spaces,
                read_only: order.read_only,
                may_create,
                administers: order.admin,
                expires_wall_ms,
            };
            Ok((accounts.create_token(&token, &new, now)?, expires_wall_ms))
        })
        .await?;
    Ok((StatusCode::CREATED, Json(NewTokenView { number, token: shown, expires_ms })))
}

/// Revokes a token; its sessions end before this is answered.
#[utoipa::path(
    delete, path = "/v1/tokens/{number}", tag = "tokens", params(("number" = i64, Path)),
    responses((status = 204), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn revoke_token(State(desk): Shared, Path(number): Path<i64>) -> Result<Response, Refusal> {
    desk.change(move |accounts, now| accounts.revoke_token(number, now)).await?;
    desk.note(Occurrence::TokenRevoked(number)).await;
    Ok(nothing())
}
