//! The catalogs that were made last, for callers with the same additions: a book of models is looked up once a
//! minute, and what it is made of seldom changes.

use orch_core::models::catalog::{Additions, Catalog};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of catalogs that are kept: with and without what providers answer, before and after a change.
const KEPT: usize = 4;

/// Returns the catalog with these additions, made once for all who ask: with what providers answer about some thousand models,
/// one takes tens of milliseconds to make.
pub(crate) fn catalog(additions: &Additions) -> Arc<Catalog> {
    static LAST: Last = Last::new();
    LAST.get(additions)
}

/// The catalogs that were asked for last.
struct Last(Mutex<VecDeque<(Additions, Arc<Catalog>)>>);

impl Last {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Additions, Arc<Catalog>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, additions: &Additions) -> Arc<Catalog> {
        let known = self.kept().iter().find(|(known, _)| known == additions).map(|(_, catalog)| Arc::clone(catalog));
        known.unwrap_or_else(|| {
            let catalog = Arc::new(Catalog::with(additions));
            let mut kept = self.kept();
            kept.truncate(KEPT - 1);
            kept.push_front((additions.clone(), Arc::clone(&catalog)));
            catalog
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::money::Usd;
    use orch_core::models::catalog::{Facts, ModelRef};

    #[test]
    fn who_asks_again_with_the_same_additions_gets_the_same_catalog_and_with_others_another() {
        let id: ModelRef = "openrouter/of-this-test".parse().expect("provider/model");
        let additions = |price: i64| {
            let facts = Facts { input_price: Some(Usd::from_micros(price)), ..Facts::default() };
            Additions { api: vec![(id.clone(), facts)], ..Additions::default() }
        };
        let price = |catalog: &Catalog| catalog.model(&id).and_then(|it| it.facts().input_price);
        let last = Last::new();
        let (first, second) = (last.get(&additions(1)), last.get(&additions(2)));
        assert_eq!((price(&first), price(&second)), (Some(Usd::from_micros(1)), Some(Usd::from_micros(2))));
        assert!(Arc::ptr_eq(&last.get(&additions(1)), &first) && Arc::ptr_eq(&last.get(&additions(2)), &second));
        for other in 3..6 {
            last.get(&additions(other));
        }
        assert!(!Arc::ptr_eq(&last.get(&additions(1)), &first), "only the last few are kept");
        assert_eq!((price(&last.get(&additions(1))), last.kept().len()), (price(&first), KEPT));
    }
}
