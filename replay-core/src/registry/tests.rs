use std::sync::Arc;

use async_trait::async_trait;

use super::linked::sorted;
use super::read::read_config_text;
use super::*;
use crate::config::reader::TableReader;
use crate::config::{Config, ConfigError};
use crate::session::{Session, SessionError};

#[derive(Debug)]
struct Named(&'static str);

#[async_trait]
impl Adapter for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn engine(&self) -> &'static str {
        "none"
    }

    fn architectures(&self) -> Vec<Architecture> {
        Vec::new()
    }

    fn read_table(&self, table: &mut TableReader<'_>) {
        table.integer("seed", 1..=9).or(1);
    }

    fn loading(&self, _: &Config) -> Result<String, ConfigError> {
        Ok(String::new())
    }

    fn identity(&self, _: &Config) -> Result<String, SessionError> {
        Ok(String::new())
    }

    fn decoder_layers(&self, _: &Config) -> Result<usize, SessionError> {
        Ok(1)
    }

    async fn open(&self, _: &Config) -> Result<Arc<dyn Session>, SessionError> {
        Err(SessionError::Stopped)
    }
}

inventory::submit! { Registration(&Named("for-the-test")) }

const FILE: &str = "adapter = \"for-the-test\"\n[pair]\nbase = \"a/b\"\nrlvr = \"a/c\"\n[replay]\nstrategy = \"substitute\"\nlayers = 1\n\
     [replay.rank]\ntop = 1\n[for-the-test]\nseed = 5\n";

#[test]
fn sorted_by_name_and_duplicates_are_errors() {
    let names: Vec<_> = sorted(vec![&Named("b"), &Named("a")]).unwrap().iter().map(|adapter| adapter.name()).collect();
    assert_eq!(names, ["a", "b"]);
    let twice = sorted(vec![&Named("b"), &Named("a"), &Named("b")]);
    assert_eq!(twice.unwrap_err(), RegistryError::Duplicate("b"));
}

#[test]
fn a_registered_adapter_is_found_and_an_unknown_one_names_those_there_are() {
    assert_eq!(adapter("for-the-test").unwrap().engine(), "none");
    let error = adapter("nobody").unwrap_err().to_string();
    assert_eq!(error, "there is no adapter \"nobody\"; linked into this program: for-the-test");
}

#[test]
fn a_file_is_read_with_the_table_of_the_adapter_it_names() {
    let (config, adapter) = read_config_text(FILE, "replay.toml").unwrap();
    assert_eq!((config.adapter.as_str(), adapter.name()), ("for-the-test", "for-the-test"));
    let both = read_config_text(&FILE.replace("seed = 5", "seed = 50").replace("top = 1", "top = -1"), "replay.toml");
    let error = both.unwrap_err().to_string();
    assert!(error.contains("for-the-test.seed") && error.contains("replay.rank.top"), "{error}");
}

#[test]
fn an_adapter_that_is_not_linked_is_refused_by_the_line_that_names_it() {
    let unknown = FILE.replace("adapter = \"for-the-test\"", "adapter = \"other\"");
    let error = read_config_text(&unknown, "replay.toml").unwrap_err().to_string();
    assert!(error.contains("1:12") || error.contains("1:11"), "{error}");
    assert!(error.contains("adapter") && error.contains("an adapter of this program: for-the-test"), "{error}");
    assert!(!error.contains("for-the-test.seed"), "{error}");
}
