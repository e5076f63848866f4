//! `afield index`

use crate::arguments::{Global, IndexCommand};
use crate::command::list::lines;
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct Index {
    kind: &'static str,
    fields: Vec<String>,
}

pub(super) fn run(command: IndexCommand, global: &Global, output: Output) -> Result<(), Failure> {
    match command {
        IndexCommand::Add { collection, fields, text } => {
            let (_replica, space) = context::open_space(global)?;
            let of = space.collection::<()>(&collection)?;
            let added = if text {
                let bar = output.progress("{spinner} {bar:24} entities read: {human_pos}/{human_len}", None);
                let added = of.search_fields_with(fields.clone(), |done, total| {
                    bar.set_length(total);
                    bar.set_position(done);
                })?;
                drop(bar);
                added
            } else {
                of.index(fields.clone())?
            };
            context::note_if_new(&space, &collection, output)?;
            let told = json!({ "collection": collection, "fields": fields, "text": text, "added": added });
            output.done(&told, || if added { "Added." } else { "It was there already." }.to_owned())
        }
        IndexCommand::Drop { collection, fields, text } => {
            let (_replica, space) = context::open_space(global)?;
            let of = space.collection::<()>(&collection)?;
            let dropped = if text { of.drop_search()? } else { of.drop_index(fields.clone())? };
            let told = json!({ "collection": collection, "fields": fields, "text": text, "dropped": dropped });
            output.done(&told, || if dropped { "Dropped." } else { "There was none." }.to_owned())
        }
        IndexCommand::List { collection } => {
            let name = context::collection_name(&collection)?;
            let space = context::view_space(global)?;
            let indexes = space.indexes(&name)?.into_iter().map(|fields| Index { kind: "index", fields });
            let text = space.searched_fields(&name)?.map(|fields| Index { kind: "text", fields });
            let all: Vec<_> = indexes.chain(text).collect();
            output.list(&all, || {
                let rows: Vec<_> = all.iter().map(|one| vec![one.kind.to_owned(), one.fields.join(", ")]).collect();
                lines(&["kind", "fields"], &rows, output, "This collection has no index.")
            })
        }
    }
}
