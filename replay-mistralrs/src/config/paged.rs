//! `[mistralrs.paged_attention]`: keys and values of all sequences in blocks of one cache, with the engine's other scheduler.
use candle_core::Device;
use mistralrs_core::{
    DefaultSchedulerMethod, MemoryGpuConfig, PAGED_ON_CPU, PagedAttentionConfig, PagedCacheType, Pipeline,
    SchedulerConfig, paged_attn_supported,
};
use replay_core::config::reader::TableReader;

/// PagedAttention for the RLVR model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PagedCache {
    memory: Memory,
    block_size: usize,
    eight_bits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    Bytes(u64),
    Fraction(f64),
    Tokens(usize),
}

const MEASURES: [&str; 3] = ["memory", "memory_fraction", "context_len"];
const BLOCK_SIZES: [i64; 3] = [8, 16, 32];
const MIB: u64 = 1 << 20;

/// Keys of the table, with what they mean.
pub fn paged_keys() -> [(&'static str, &'static str); 5] {
    [
        ("memory", "the cache's size, such as \"4GiB\""),
        (
            "memory_fraction",
            "or the part of the device's memory that the models and the cache may fill, 0 to 1; 0.9 by default",
        ),
        ("context_len", "or how many tokens it holds"),
        ("block_size", "tokens in a block: 8, 16 or 32, which is the default"),
        ("cache_type", "\"auto\" (the model's precision, the default) or \"f8e4m3\""),
    ]
}

impl PagedCache {
    pub(crate) fn from_table(table: &mut TableReader<'_>) -> Self {
        let bytes = table.bytes("memory").optional();
        let fraction = table.number("memory_fraction", 0.01..=1.0).optional();
        let tokens = table.integer("context_len", 1..=i64::from(u32::MAX)).optional();
        let given = [bytes.is_some(), fraction.is_some(), tokens.is_some()];
        let mut given = MEASURES.iter().zip(given).filter_map(|(key, given)| given.then_some(*key));
        if let (Some(_), Some(second)) = (given.next(), given.next()) {
            table.report(second, "only one of `memory`, `memory_fraction` and `context_len`", None);
        }
        if bytes.is_some_and(|bytes| bytes < MIB) {
            table.report("memory", "at least \"1MiB\"", None);
        }
        let block_size = table.integer("block_size", 8..=32).or(32);
        if !BLOCK_SIZES.contains(&block_size) {
            table.report("block_size", "8, 16 or 32", None);
        }
        let eight_bits = table.choice("cache_type", &[("auto", false), ("f8e4m3", true)]).or(false);
        let memory = match (bytes, tokens) {
            (Some(bytes), _) => Memory::Bytes(bytes),
            (None, Some(tokens)) => Memory::Tokens(tokens as usize),
            (None, None) => Memory::Fraction(fraction.unwrap_or(0.9)),
        };
        Self { memory, block_size: block_size as usize, eight_bits }
    }

    /// For the engine's loader.
    ///
    /// # Errors
    /// Where this program, or the device, has no PagedAttention.
    pub(crate) fn config(&self, device: &Device) -> Result<PagedAttentionConfig, String> {
        if !paged_attn_supported() {
            return Err("PagedAttention needs a program that was built for CUDA or Metal; this one was not".into());
        }
        if device.is_cpu() && !PAGED_ON_CPU {
            return Err("PagedAttention needs a GPU, and the model is on a CPU".into());
        }
        // A fraction of a GPU's memory is there to be filled; of a machine's it is not.
        if device.is_cpu() && matches!(self.memory, Memory::Fraction(_)) {
            return Err("PagedAttention on a CPU needs the size of its cache: give `memory` or `context_len`".into());
        }
        if device.is_cpu() && self.eight_bits {
            return Err("PagedAttention keeps no keys and values in eight bits on a CPU".into());
        }
        let memory = match self.memory {
            Memory::Bytes(bytes) => MemoryGpuConfig::MbAmount((bytes / MIB) as usize),
            Memory::Fraction(fraction) => MemoryGpuConfig::Utilization(fraction as f32),
            Memory::Tokens(tokens) => MemoryGpuConfig::ContextSize(tokens),
        };
        let kind = if self.eight_bits { PagedCacheType::F8E4M3 } else { PagedCacheType::Auto };
        PagedAttentionConfig::new(Some(self.block_size), memory, kind).map_err(|e| format!("{e:#}"))
    }
}

/// The scheduler of a loaded pipeline: of PagedAttention, if it was loaded with it.
pub(crate) fn scheduler(pipeline: &dyn Pipeline, most: usize) -> SchedulerConfig {
    match &pipeline.get_metadata().cache_config {
        Some(config) => SchedulerConfig::PagedAttentionMeta { max_num_seqs: most, config: config.clone() },
        None => {
            let most = most.try_into().unwrap_or(std::num::NonZeroUsize::MIN);
            SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(most) }
        }
    }
}

/// For people: how the keys and values of this pipeline are kept.
pub(crate) fn described(pipeline: &dyn Pipeline) -> String {
    match &pipeline.get_metadata().cache_config {
        Some(cache) => format!(
            "PagedAttention, {} blocks of {} tokens for all sequences together{}",
            cache.num_gpu_blocks,
            cache.block_size,
            if pipeline.device().is_cpu() {
                " (on a CPU, for trials: slower than a cache for each sequence)"
            } else {
                ""
            }
        ),
        None => "a cache for each sequence".into(),
    }
}

#[cfg(test)]
mod tests {
    use replay_core::Config;

    use super::*;
    use crate::config::table::EngineTable;

    fn read(lines: &str) -> Result<Option<PagedCache>, String> {
        let text = format!(
            "adapter = \"mistralrs\"\n[pair]\nrlvr = \"a\"\nbase = \"b\"\n[replay]\npreset = \"paper-math\"\n[mistralrs]\n{lines}\n"
        );
        let config = Config::from_str(&text, "t.toml").map_err(|e| e.to_string())?;
        EngineTable::read(&config).map(|table| table.paged).map_err(|e| e.to_string())
    }

    #[test]
    fn without_the_table_each_sequence_has_its_own_cache() {
        assert_eq!(read(""), Ok(None));
        let default = PagedCache { memory: Memory::Fraction(0.9), block_size: 32, eight_bits: false };
        assert_eq!(read("[mistralrs.paged_attention]"), Ok(Some(default)));
        let given = PagedCache { memory: Memory::Bytes(4 << 30), block_size: 16, eight_bits: true };
        let lines = "paged_attention = { memory = \"4GiB\", block_size = 16, cache_type = \"f8e4m3\" }";
        assert_eq!(read(lines), Ok(Some(given)));
    }

    #[test]
    fn a_cpu_is_given_the_size_of_the_cache() {
        let config = |lines: &str| read(lines).unwrap().unwrap().config(&Device::Cpu).map(drop);
        let why = config("[mistralrs.paged_attention]").unwrap_err();
        assert!(!PAGED_ON_CPU || why.contains("give `memory` or `context_len`"), "{why}");
        let sized = config("paged_attention = { memory = \"64MiB\" }");
        assert_eq!(sized.is_ok(), PAGED_ON_CPU, "{sized:?}");
    }

    #[test]
    fn wrong_values_are_refused_with_their_line() {
        for (lines, place, says) in [
            ("memory = \"1KiB\"", "t.toml:9:", "1MiB"),
            ("memory = \"1GiB\"\ncontext_len = 4096", "t.toml:10:", "only one of"),
            ("memory_fraction = 1.5", "t.toml:9:", "1"),
            ("block_size = 12", "t.toml:9:", "8, 16 or 32"),
            ("cache_type = \"f16\"", "t.toml:9:", "f8e4m3"),
            ("blocksize = 8", "t.toml:9:", "block_size"),
        ] {
            let why = read(&format!("[mistralrs.paged_attention]\n{lines}")).expect_err(lines);
            assert!(why.contains(place) && why.contains(says), "{lines}: {why}");
        }
    }
}
