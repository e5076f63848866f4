//! Structs and variants, seen as a map, a list or their inner value.

use crate::{
    attributes::{Names, Presence, combine},
    field::{Field, Place},
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Fields;

/// How the fields of a struct or variant stand in the document.
pub(crate) enum Shape {
    /// No data at all.
    Unit,
    /// The value of the only, unnamed field.
    Inner(Box<Field>),
    /// A list, one element for each unnamed field.
    List(Vec<Field>),
    /// A map, one key for each named field.
    Map(Vec<Field>),
}

impl Shape {
    /// Reads the fields and their attributes.
    pub(crate) fn read(fields: &Fields) -> syn::Result<Self> {
        let mut found = Vec::new();
        let mut result = Ok(());
        for (index, field) in fields.iter().enumerate() {
            match Field::read_from(index, field) {
                Ok(field) => found.push(field),
                Err(error) => combine(&mut result, error),
            }
        }
        result?;
        match fields {
            Fields::Unit => Ok(Self::Unit),
            Fields::Named(_) => checked_map(found).map(Self::Map),
            Fields::Unnamed(_) => unnamed(found),
        }
    }

    pub(crate) fn fields(&self) -> &[Field] {
        match self {
            Self::Unit => &[],
            Self::Inner(field) => std::slice::from_ref(&**field),
            Self::List(fields) | Self::Map(fields) => fields,
        }
    }

    /// A call of a function of the library about all fields, which stands at the first.
    pub(crate) fn call(&self, function: TokenStream, arguments: TokenStream) -> TokenStream {
        match self.fields().iter().find(|field| field.is_stored_as_itself()) {
            Some(field) => {
                let place = Place::of(&field.ty);
                place.call(&place.function(function), arguments)
            }
            None => quote!(#function(#arguments)),
        }
    }

    /// The field that carries the identity.
    pub(crate) fn key(&self) -> Option<&Field> {
        self.fields().iter().find(|field| field.options.key.is_some())
    }

    /// The names of all fields, where they have names.
    pub(crate) fn names(&self, names: Names) -> Option<Vec<String>> {
        let Self::Map(fields) = self else { return None };
        let stored = fields.iter().filter(|field| field.options.skip.is_none());
        Some(stored.map(|field| field.name(names)).collect())
    }

    /// Refuses two fields of one name.
    pub(crate) fn check_names(&self, names: Names) -> syn::Result<()> {
        let Self::Map(fields) = self else { return Ok(()) };
        let mut seen = std::collections::BTreeSet::new();
        for field in fields.iter().filter(|field| field.options.skip.is_none()) {
            let name = field.name(names);
            if !seen.insert(name.clone()) {
                return Err(syn::Error::new(
                    field.name_span(),
                    format!("two fields are named \"{name}\" in the document: rename one of them"),
                ));
            }
        }
        Ok(())
    }
}

fn checked_map(fields: Vec<Field>) -> syn::Result<Vec<Field>> {
    let mut keys = fields.iter().filter_map(|field| field.options.key);
    match (keys.next(), keys.next()) {
        (Some(_), Some(second)) => Err(syn::Error::new(second, "an element has one key: mark one field only")),
        _ => Ok(fields),
    }
}

fn unnamed(mut fields: Vec<Field>) -> syn::Result<Shape> {
    for field in &fields {
        if let Some(rename) = &field.options.rename {
            return Err(syn::Error::new_spanned(rename, "an unnamed field has no name in the document"));
        }
        if let Some(skip) = field.options.skip {
            let hint = "unnamed fields are known by position, and a skipped one has none: name the fields";
            return Err(syn::Error::new(skip, hint));
        }
    }
    if fields.len() != 1 {
        return match fields.iter().find_map(|field| field.options.key) {
            Some(key) => {
                Err(syn::Error::new(key, "a key needs a named field: elements of a tuple are known by position"))
            }
            None => Ok(Shape::List(fields)),
        };
    }
    let mut field = fields.remove(0);
    match field.options.presence_at {
        Some(at) => Err(syn::Error::new(
            at,
            "a type with one unnamed field is its inner value: say at the field that holds it what its absence means",
        )),
        None => {
            field.options.presence = Presence::Required;
            Ok(Shape::Inner(Box::new(field)))
        }
    }
}

/// `member: value` for every field of a map, read from `__object`.
pub(crate) fn read_map(fields: &[Field], names: Names) -> TokenStream {
    let reads = fields.iter().map(|field| {
        let member = &field.member;
        if let Some(value) = field.skipped() {
            return quote!(#member: #value);
        }
        let name = field.name(names);
        let value = field.read(&quote!(#name));
        quote!(#member: #value?)
    });
    quote!(#(#reads),*)
}

/// `index: value` for every element of a list, read from `__object`.
pub(crate) fn read_list(fields: &[Field]) -> TokenStream {
    let reads = fields.iter().enumerate().map(|(position, field)| {
        let member = &field.member;
        let value = field.read(&quote!(#position));
        quote!(#member: #value?)
    });
    quote!(#(#reads),*)
}

/// An expression for all that a shape with data writes, its fields given by `access`.
pub(crate) fn write(shape: &Shape, names: Names, access: impl Fn(&Field) -> TokenStream) -> Option<TokenStream> {
    let chain = |fields: &[Field]| {
        let stored = fields.iter().filter(|field| field.options.skip.is_none());
        stored.rev().fold(quote!(__support::End), |rest, field| field.entry(&field.name(names), &access(field), &rest))
    };
    match shape {
        Shape::Unit => None,
        Shape::Inner(field) => Some(field.alone(&access(field))),
        Shape::List(fields) => {
            let chain = chain(fields);
            Some(shape.call(quote!(__support::AsList), chain))
        }
        Shape::Map(fields) => {
            let chain = chain(fields);
            Some(shape.call(quote!(__support::AsMap), chain))
        }
    }
}
