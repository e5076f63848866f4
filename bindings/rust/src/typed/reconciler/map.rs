//! The entries of a map.

use super::{BARE, build_as, key_of, says_what_is_implied, value_ref};
use crate::typed::{beside, path::Place, to_value::ToValueError, tree::Node};
use automerge::{ChangeHash, ValueRef};
use autosurgeon::{
    Reconcile,
    reconcile::{LoadKey, MapReconciler},
};
use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

pub(super) struct MapBuilder<'a> {
    pub(super) entries: &'a mut BTreeMap<String, Node>,
    /// Whether the type asked which keys there are: then its keys are content, and no error may show them.
    pub(super) enumerated: Cell<bool>,
    pub(super) heads: &'static [ChangeHash; 1],
}

impl MapBuilder<'_> {
    fn place(&self, key: &str) -> Place {
        if self.enumerated.get() { Place::FreeKey } else { Place::Field(key.to_owned()) }
    }
}

impl MapReconciler for MapBuilder<'_> {
    type Error = ToValueError;
    type EntriesIter<'e>
        = std::vec::IntoIter<(Cow<'e, str>, ValueRef<'e>)>
    where
        Self: 'e;

    fn entries(&self) -> Self::EntriesIter<'_> {
        self.enumerated.set(true);
        let entries: Vec<_> =
            self.entries.iter().map(|(key, node)| (Cow::Borrowed(key.as_str()), value_ref(node))).collect();
        entries.into_iter()
    }

    fn entry<P: AsRef<str>>(&self, prop: P) -> Option<automerge::Value<'_>> {
        self.entries.get(prop.as_ref()).map(Node::engine_value)
    }

    fn put<R: Reconcile, P: AsRef<str>>(&mut self, prop: P, value: R) -> Result<(), ToValueError> {
        let is_variant = beside::take_variant();
        let key = prop.as_ref();
        let within = |error: ToValueError| error.within(self.place(key));
        if says_what_is_implied(&value) {
            if let Some(node) = build_as(&value, &BARE).map_err(within)? {
                self.entries.insert(key.to_owned(), Node { implied: true, ..node });
            }
            return Ok(());
        }
        let built = build_as(&value, self.heads).map_err(within)?;
        let implied = match self.entries.get(key) {
            Some(Node { implied: true, .. }) => self.entries.remove(key),
            _ => None,
        };
        if let Some(node) = built {
            let implied = implied.is_some_and(|implied| implied.same(&node));
            self.entries.insert(key.to_owned(), Node { implied, is_variant, ..node });
        }
        Ok(())
    }

    fn delete<P: AsRef<str>>(&mut self, prop: P) -> Result<(), ToValueError> {
        self.entries.remove(prop.as_ref());
        Ok(())
    }

    fn hydrate_entry_key<'k, R: Reconcile, P: AsRef<str>>(&self, prop: P) -> Result<LoadKey<R::Key<'k>>, ToValueError> {
        Ok(self.entries.get(prop.as_ref()).map_or(LoadKey::KeyNotFound, key_of::<R>))
    }
}
