//! The streams to watch under the configuration in force.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Config, Discovered, Fewer, Watchlist};

/// The result of the last search under the configuration in force. Rebuilt only when one of them changes.
pub struct Watching {
    found: watch::Receiver<Option<Discovered>>,
    made: Option<(Arc<Config>, Watchlist)>,
}

impl Watching {
    /// The streams that these searches find.
    #[must_use]
    pub const fn new(found: watch::Receiver<Option<Discovered>>) -> Self {
        Self { found, made: None }
    }

    /// The streams to watch. Before the first search has ended, those that the configuration names.
    pub fn under(&mut self, config: &Arc<Config>) -> Watchlist {
        let is_same_search = !self.found.has_changed().unwrap_or(false);
        if let Some((under, list)) = &self.made
            && is_same_search
            && Arc::ptr_eq(under, config)
        {
            return list.clone();
        }
        let list = match &*self.found.borrow_and_update() {
            Some(discovered) => discovered.watchlist(config),
            None => Discovered::named(config).watchlist(config),
        };
        self.made = Some((Arc::clone(config), list.clone()));
        list
    }

    /// Whether the last search found far fewer streams than those before it.
    #[must_use]
    pub fn fewer(&self) -> Option<Fewer> {
        self.found.borrow().as_ref()?.fewer
    }

    /// Waits until a search finds other streams; `false` if there will be no more searches. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        let goes_on = self.found.changed().await.is_ok();
        self.made = None;
        goes_on
    }

    /// Waits until the first search has ended. Cancel-safe.
    pub async fn first_search(&mut self) {
        let _ended_or_none_will = self.found.wait_for(Option::is_some).await.is_ok();
        self.made = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::test_config, model::Name};

    fn names(list: &Watchlist) -> Vec<Name> {
        list.iter().map(|watched| watched.name.clone()).collect()
    }

    #[tokio::test]
    async fn the_list_follows_the_search_and_the_configuration() {
        let config = |yaml: &str| Arc::new(test_config::config(yaml));
        let before = config("streams: [{match: b}, {match: '*'}]");
        let (found_in, found) = watch::channel(None);
        let mut watching = Watching::new(found);
        assert_eq!(
            names(&watching.under(&before)),
            ["b".into()],
            "named streams only, before a search has ended"
        );
        let streams = ["b", "a", "c"].map(Name::from).to_vec();
        found_in.send_replace(Some(Discovered { streams, ..Discovered::default() }));
        assert_eq!(names(&watching.under(&before)), ["a", "b", "c"].map(Name::from));
        let after = config("exclude: [c]\nstreams: [{match: d}, {match: '*', groups: [g]}]");
        let list = watching.under(&after);
        assert_eq!(
            names(&list),
            ["a", "b", "d"].map(Name::from),
            "streams that are now excluded are dropped at once"
        );
        assert_eq!(list.get(&"a".into()).unwrap().groups(), ["g".into()]);
        found_in.send_replace(Some(Discovered::default()));
        assert!(watching.changed().await);
        assert_eq!(names(&watching.under(&after)), ["d".into()], "also after waiting for the search");
    }
}
