//! A document or a transaction, as autosurgeon reads documents.

use super::beside;
use afield_core::document::text_of;
use automerge::iter::{ListRange, MapRange};
use automerge::{AutomergeError, ChangeHash, ObjId, ObjType, Parents, Prop};
use autosurgeon::ReadDoc;
use std::ops::RangeBounds;

/// A document or a transaction, as autosurgeon reads documents. It also answers what [`beside`] asks.
pub(crate) struct Reading<'d, D> {
    document: &'d D,
    heads: Vec<ChangeHash>,
}

impl<'d, D: automerge::ReadDoc> Reading<'d, D> {
    pub(crate) fn new(document: &'d D, heads: Vec<ChangeHash>) -> Self {
        Self { document, heads }
    }
}

impl<D: automerge::ReadDoc> ReadDoc for Reading<'_, D> {
    type Parents<'a>
        = Parents<'a>
    where
        Self: 'a;

    fn get_heads(&self) -> Vec<ChangeHash> {
        self.heads.clone()
    }

    fn get<P: Into<Prop>>(
        &self,
        obj: &ObjId,
        prop: P,
    ) -> Result<Option<(automerge::Value<'_>, ObjId)>, AutomergeError> {
        self.document.get(obj, prop)
    }

    fn object_type<O: AsRef<ObjId>>(&self, obj: O) -> Option<ObjType> {
        self.document.object_type(obj).ok()
    }

    fn map_range<'a, O, R>(&'a self, obj: O, range: R) -> MapRange<'a>
    where
        R: RangeBounds<String> + 'a,
        O: AsRef<ObjId>,
    {
        self.document.map_range(obj, range)
    }

    fn list_range<O: AsRef<ObjId>, R: RangeBounds<usize>>(&self, obj: O, range: R) -> ListRange<'_> {
        self.document.list_range(obj, range)
    }

    fn length<O: AsRef<ObjId>>(&self, obj: O) -> usize {
        self.document.length(obj)
    }

    fn text<O: AsRef<ObjId>>(&self, obj: O) -> Result<String, AutomergeError> {
        match beside::answer(|| text_of(self.document, obj.as_ref())) {
            true => Ok(String::new()),
            false => self.document.text(obj),
        }
    }

    fn parents<O: AsRef<ObjId>>(&self, obj: O) -> Result<Self::Parents<'_>, AutomergeError> {
        self.document.parents(obj)
    }

    fn is_empty(&self) -> bool {
        self.document.length(automerge::ROOT) == 0
    }
}
