//! The elements of a list.

use super::{build_as, key_of, value_ref};
use crate::typed::{
    identity::identity,
    path::{FieldPath, Place},
    to_value::ToValueError,
    tree::Element,
};
use automerge::{ChangeHash, ValueRef};
use autosurgeon::{
    Reconcile,
    reconcile::{LoadKey, SeqReconciler},
};

pub(super) struct ListBuilder<'a> {
    pub(super) elements: &'a mut Vec<Element>,
    pub(super) heads: &'static [ChangeHash; 1],
}

impl ListBuilder<'_> {
    fn element<R: Reconcile>(&self, index: usize, value: &R) -> Result<Element, ToValueError> {
        let node = build_as(value, self.heads)
            .and_then(|node| node.ok_or_else(|| ToValueError::Nothing { at: FieldPath::default() }))
            .map_err(|error| error.within(Place::Index(index)))?;
        Ok(Element { identity: identity(value, &node), node })
    }
}

impl SeqReconciler for ListBuilder<'_> {
    type Error = ToValueError;
    type ItemIter<'i>
        = std::vec::IntoIter<ValueRef<'i>>
    where
        Self: 'i;

    fn items(&self) -> Self::ItemIter<'_> {
        let items: Vec<_> = self.elements.iter().map(|element| value_ref(&element.node)).collect();
        items.into_iter()
    }

    fn get(&self, index: usize) -> Result<Option<automerge::Value<'_>>, ToValueError> {
        Ok(self.elements.get(index).map(|element| element.node.engine_value()))
    }

    fn hydrate_item_key<'k, R: Reconcile>(&self, index: usize) -> Result<LoadKey<R::Key<'k>>, ToValueError> {
        Ok(self.elements.get(index).map_or(LoadKey::KeyNotFound, |element| key_of::<R>(&element.node)))
    }

    fn insert<R: Reconcile>(&mut self, index: usize, value: R) -> Result<(), ToValueError> {
        if index > self.elements.len() {
            return Err(ToValueError::out_of_range(index, self.elements.len()));
        }
        let element = self.element(index, &value)?;
        self.elements.insert(index, element);
        Ok(())
    }

    fn set<R: Reconcile>(&mut self, index: usize, value: R) -> Result<(), ToValueError> {
        let new = self.element(index, &value)?;
        let length = self.elements.len();
        let element = self.elements.get_mut(index).ok_or_else(|| ToValueError::out_of_range(index, length))?;
        *element = new;
        Ok(())
    }

    fn delete(&mut self, index: usize) -> Result<(), ToValueError> {
        if index >= self.elements.len() {
            return Err(ToValueError::out_of_range(index, self.elements.len()));
        }
        self.elements.remove(index);
        Ok(())
    }

    fn len(&self) -> Result<usize, ToValueError> {
        Ok(self.elements.len())
    }
}
