//! The value before an edit, and what of it the document really holds.

use super::{
    identity::Identity,
    to_value::{ToValueError, to_tree},
    tree::{Content, Node, Standing, Tree},
};
use afield_core::document::Value;
use automerge::{ObjId, ObjType, ROOT, ScalarValue};
use autosurgeon::{Prop, ReadDoc, Reconcile};

/// Gives the value of a model that was just read from `document`, for [`difference`](super::difference).
///
/// Parts that the document does not hold, because they were read as a default or from a value of another kind, are
/// known as such: an edit that leaves them alone does not write them, and one that changes them does not build on
/// what is not there.
///
/// ```
/// # use afield::{Replica, Text, model, typed};
/// # #[model]
/// # struct Note {
/// #     title: String,
/// #     body: Text,
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
/// # let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
/// # let entity = notes.entity(id)?;
/// let mut note = notes.read(id)?; // whose body is absent, and was read as an empty text
/// let before = entity.raw(|document| typed::before_edit(document, &note))??;
/// note.title = "Bread".into();
/// let patches = typed::difference(&before, &typed::to_tree(&note)?);
/// assert_eq!(patches.len(), 1); // the body is not written
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`to_value`](super::to_value), and when the document cannot be read.
pub fn before_edit<T: Reconcile + ?Sized, D: ReadDoc>(document: &D, model: &T) -> Result<Tree, ToValueError> {
    let mut tree = to_tree(model)?;
    mark_children(document, &ROOT, &mut tree.0)?;
    Ok(tree)
}

fn mark_children<D: ReadDoc>(document: &D, object: &ObjId, node: &mut Node) -> Result<(), ToValueError> {
    match &mut node.content {
        Content::Leaf(_) => Ok(()),
        Content::Map(entries) => {
            entries.iter_mut().try_for_each(|(key, child)| mark(document, object, key.as_str().into(), child))
        }
        Content::List(elements) => elements.iter_mut().enumerate().try_for_each(|(index, element)| {
            mark(document, object, index.into(), &mut element.node)?;
            if element.identity.as_ref().is_some_and(|identity| !identity.is_held(&element.node)) {
                element.identity = Some(Identity::Unknown);
            }
            Ok(())
        }),
    }
}

fn mark<D: ReadDoc>(document: &D, object: &ObjId, prop: Prop<'_>, node: &mut Node) -> Result<(), ToValueError> {
    match document.get(object, &prop).map_err(ToValueError::Engine)? {
        Some((value, id)) if same_kind(&value, &node.content) => mark_children(document, &id, node),
        found => {
            release(node);
            node.standing = if found.is_some() { Standing::Other } else { Standing::Absent };
            Ok(())
        }
    }
}

fn same_kind(value: &automerge::Value<'_>, content: &Content) -> bool {
    match (value, content) {
        (automerge::Value::Object(ObjType::Map | ObjType::Table), Content::Map(_))
        | (automerge::Value::Object(ObjType::List), Content::List(_))
        // An ordinary text is edited as one where the type wants a long one, and a long one, which is a map to the engine,
        // as it is where the type wants an ordinary one.
        | (
            automerge::Value::Object(ObjType::Text | ObjType::Map),
            Content::Leaf(Value::Text(_) | Value::RichText(_) | Value::LongText(_)),
        ) => true,
        (automerge::Value::Scalar(scalar), Content::Leaf(leaf)) => match leaf {
            Value::Text(_) | Value::RichText(_) | Value::LongText(_) => false,
            Value::Null => scalar.is_null(),
            Value::Counter(_) => matches!(scalar.as_ref(), ScalarValue::Counter(_)),
            _ => !matches!(scalar.as_ref(), ScalarValue::Counter(_) | ScalarValue::Null),
        },
        _ => false,
    }
}

/// Nothing below a value that the document does not hold stands there either.
fn release(node: &mut Node) {
    node.standing = Standing::Absent;
    match &mut node.content {
        Content::Leaf(_) => {}
        Content::Map(entries) => entries.values_mut().for_each(release),
        Content::List(elements) => elements.iter_mut().for_each(|element| release(&mut element.node)),
    }
}
