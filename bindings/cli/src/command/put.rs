//! `afield put`

use crate::arguments::{Global, Put};
use crate::context;
use crate::failure::Failure;
use crate::fields::{self, Values, Wanted};
use crate::identity::PartialId;
use crate::output::Output;
use crate::warning::Warned;
use afield::{Collection, EditError, EntityError, EntityId};
use serde::Serialize;

/// An entity that was written.
#[derive(Debug, Serialize)]
pub(super) struct Stored<'c> {
    pub(super) id: String,
    pub(super) collection: &'c str,
    pub(super) space: String,
    pub(super) changed: bool,
}

pub(super) fn run(arguments: &Put, global: &Global, output: Output) -> Result<(), Failure> {
    let wanted = Wanted::parse(&arguments.values, std::io::stdin())?;
    let (replica, space) = context::open_space(global)?;
    let collection = context::collection(&space, &arguments.collection, global)?;
    let (id, changed) = store(wanted, &collection)?;
    let stored =
        Stored { id: id.to_string(), collection: &arguments.collection, space: space.id().to_string(), changed };
    Warned::new(&stored, (&replica, &space), changed, global).result(output, || id.to_string())
}

fn store(wanted: Wanted, collection: &Collection<()>) -> Result<(EntityId, bool), Failure> {
    let json = collection.json();
    let Some(typed) = wanted.id else {
        return Ok((json.insert(&wanted.values.into_entity()?)?, true));
    };
    let id = typed.parse::<PartialId>().map_err(|_| fields::FieldsError::NoOperator { field: 1 })?.find(collection)?;
    let write = match &wanted.values {
        Values::Whole(value) => json.put(id, value)?,
        Values::Fields(some) => {
            let mut refused = Ok(());
            match json.edit(id, |entity| refused = fields::set(some, entity)) {
                // Nobody has this entity yet: it is made, with the id it was given.
                Err(EditError::Entity(EntityError::Missing { .. })) => json.put(id, &wanted.values.into_entity()?)?,
                edited => {
                    refused?;
                    edited?
                }
            }
        }
    };
    Ok((id, write.changes().next().is_some()))
}
