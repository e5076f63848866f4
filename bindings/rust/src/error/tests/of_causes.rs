//! What stands behind other errors, as their source.

use super::*;
use crate::hand_over::HandOverProblem;
use afield_core::document::{EditError as DocumentError, Kind};
use afield_core::frozen;
use afield_core::wire::BatchError;
use afield_transport::{ParseAddressError, ParseTokenError};
use automerge::AutomergeError;

pub(super) fn rows() -> Vec<Frozen> {
    [of_shapes(), of_values(), of_files(), of_relays()].concat()
}

fn of_shapes() -> Vec<Frozen> {
    let (at, expected, found) = (Default::default, "String", Kind::Text);
    frozen!(FromDocumentError {
        FromDocumentError::Missing { .. } = FromDocumentError::Missing { at: at(), expected }
            => "shape.missing", Permanent;
        FromDocumentError::Mismatch { .. } = FromDocumentError::Mismatch { at: at(), found, expected }
            => "shape.mismatch", Permanent;
        FromDocumentError::Unreadable { .. } = FromDocumentError::Unreadable { at: at(), found }
            => "shape.unreadable", Permanent;
        FromDocumentError::UnknownVariant { .. } = FromDocumentError::UnknownVariant { at: at(), expected }
            => "shape.unknown_variant", Permanent;
        FromDocumentError::MapKey { .. } = FromDocumentError::MapKey { at: at() } => "shape.map_key", Permanent;
        FromDocumentError::Shown(_) = FromDocumentError::Shown(Box::new(DocumentError::Full))
            => "shape.shown", Permanent;
        FromDocumentError::Engine(_) = FromDocumentError::Engine(AutomergeError::Fail) => "shape.engine", Permanent;
    } passes on {
    })
}

fn of_values() -> Vec<Frozen> {
    let at = Default::default;
    frozen!(ToValueError {
        ToValueError::BoundText { .. } = ToValueError::BoundText { at: at() } => "value.bound_text", Permanent;
        ToValueError::BoundCounter { .. } = ToValueError::BoundCounter { at: at() } => "value.bound_counter", Permanent;
        ToValueError::OutOfRange { .. } = ToValueError::OutOfRange { at: at(), position: 2, length: 1 }
            => "value.out_of_range", Permanent;
        ToValueError::Nothing { .. } = ToValueError::Nothing { at: at() } => "value.nothing", Permanent;
        ToValueError::Engine(_) = ToValueError::Engine(AutomergeError::Fail) => "value.engine", Permanent;
    } passes on {
    })
}

fn of_files() -> Vec<Frozen> {
    let source = BatchError::UnknownCodec { found: 9 };
    frozen!(HandOverProblem {
        HandOverProblem::NotHandedOver = HandOverProblem::NotHandedOver => "hand_over.not_handed_over", Permanent;
        HandOverProblem::Cut { .. } = HandOverProblem::Cut { at: 1 } => "hand_over.cut", Permanent;
        HandOverProblem::TooLong { .. } = HandOverProblem::TooLong { at: 1, found: 3, maximum: 2 }
            => "hand_over.too_long", Permanent;
        HandOverProblem::Section { .. } = HandOverProblem::Section { at: 1 } => "hand_over.section", Permanent;
        HandOverProblem::Batch { .. } = HandOverProblem::Batch { at: 1, source } => "hand_over.changes", Permanent;
        HandOverProblem::Changed = HandOverProblem::Changed => "hand_over.changed", Permanent;
    } passes on {
    })
}

fn of_relays() -> Vec<Frozen> {
    let not_a_url = "wss://[".parse::<afield_transport::RelayAddress>().unwrap_err();
    let mut rows = frozen!(ParseAddressError {
        ParseAddressError::NotAUrl(_) = not_a_url => "address.not_a_url", Permanent;
        ParseAddressError::Scheme = ParseAddressError::Scheme => "address.scheme", Permanent;
        ParseAddressError::PlainTextToAnotherMachine = ParseAddressError::PlainTextToAnotherMachine
            => "address.plain_text", Permanent;
        ParseAddressError::Credentials = ParseAddressError::Credentials => "address.credentials", Permanent;
        ParseAddressError::Query = ParseAddressError::Query => "address.query", Permanent;
        ParseAddressError::Port = ParseAddressError::Port => "address.port", Permanent;
        ParseAddressError::Path = ParseAddressError::Path => "address.path", Permanent;
    } passes on {
    });
    rows.extend(frozen!(ParseTokenError {
        ParseTokenError::Empty = ParseTokenError::Empty => "token.empty", Permanent;
        ParseTokenError::TooLong { .. } = ParseTokenError::TooLong { bytes: 9_000 } => "token.too_long", Permanent;
        ParseTokenError::Character { .. } = ParseTokenError::Character { at: 3 } => "token.character", Permanent;
        ParseTokenError::NotBearer = ParseTokenError::NotBearer => "token.not_bearer", Permanent;
    } passes on {
    }));
    rows
}
