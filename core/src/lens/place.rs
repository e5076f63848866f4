//! Where a field of the newest version stands in the document.

use super::step::{Lens, Step};
use super::{LensError, Lenses};
use crate::document::{Path, Step as PathStep};

impl Lenses {
    /// Gives the place in the document of what the newest version has at a path.
    ///
    /// # Errors
    ///
    /// The field is converted, or has no such name in the newest version: see [`LensError`].
    pub fn place(&self, path: &Path) -> Result<Path, LensError> {
        let steps: Vec<_> = self.steps().collect();
        Ok(place_through(&steps, path.steps().to_vec())?.into_iter().collect())
    }
}

fn place_through(lenses: &[&Lens], path: Vec<PathStep>) -> Result<Vec<PathStep>, LensError> {
    lenses.iter().rev().try_fold(path, |path, lens| place_in_older(lens, path))
}

/// The same place in the version before a step.
fn place_in_older(lens: &Lens, mut path: Vec<PathStep>) -> Result<Vec<PathStep>, LensError> {
    let Some(PathStep::Key(key)) = path.first() else { return Ok(path) };
    let key = key.clone();
    let rename = |path: &mut Vec<PathStep>, name: &str| {
        if let Some(first) = path.first_mut() {
            *first = PathStep::Key(name.to_owned());
        }
    };
    match &lens.0 {
        Step::Rename { from, to } if key == *to => rename(&mut path, from),
        Step::Wrap { from, to } if key == *to => match path.get(1) {
            Some(PathStep::Index(0)) => {
                path.remove(1);
                rename(&mut path, from);
            }
            Some(PathStep::Index(index)) => {
                let index = index - 1;
                path.splice(1..2, [PathStep::Index(index)]);
            }
            _ => return Err(LensError::NoPlace { field: key }),
        },
        Step::Convert(conversion) if key == conversion.to => return Err(LensError::NoPlace { field: key }),
        Step::Rename { from, .. } | Step::Wrap { from, .. } if key == *from => {
            return Err(LensError::Hidden { field: key });
        }
        Step::Convert(conversion) if key == conversion.from => return Err(LensError::Hidden { field: key }),
        Step::Remove { field, .. } if key == *field => return Err(LensError::Hidden { field: key }),
        Step::Inside { field, steps } if key == *field => return below(steps, path, 1),
        Step::Each { field, steps } if key == *field => return below(steps, path, 2),
        _ => {}
    }
    Ok(path)
}

/// The place of what stands `depth` steps down, in a map of which the steps tell.
fn below(steps: &[Lens], mut path: Vec<PathStep>, depth: usize) -> Result<Vec<PathStep>, LensError> {
    if path.len() <= depth {
        return Ok(path);
    }
    let inner = path.split_off(depth);
    path.extend(place_through(&steps.iter().collect::<Vec<_>>(), inner)?);
    Ok(path)
}
