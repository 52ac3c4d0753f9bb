//! `[mistralrs.paged_attention]`: PagedAttention, which keeps the KV cache of all sequences in blocks and has a scheduler of its own.
use candle_core::Device;
use mistralrs_core::{
    DefaultSchedulerMethod, MemoryGpuConfig, PAGED_ON_CPU, PagedAttentionConfig, PagedCacheType, Pipeline,
    SchedulerConfig, paged_attn_supported,
};
use replay_core::config::reader::TableReader;

/// The PagedAttention settings of the RLVR model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PagedCache {
    size: CacheSize,
    block_size: usize,
    /// Whether keys and values are stored in eight bits (`f8e4m3`).
    eight_bits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum CacheSize {
    Bytes(u64),
    /// The fraction of the device's memory that models and cache fill together.
    DeviceFraction(f64),
    Tokens(usize),
}

/// The keys that give the size of the cache; only one of them may be set.
const SIZE_KEYS: [&str; 3] = ["memory", "memory_fraction", "context_len"];
const BLOCK_SIZES: [i64; 3] = [8, 16, 32];
const MIB: u64 = 1 << 20;

/// The keys of the table, each with its meaning.
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
        let is_set = [bytes.is_some(), fraction.is_some(), tokens.is_some()];
        let mut set_keys = SIZE_KEYS.iter().zip(is_set).filter_map(|(key, is_set)| is_set.then_some(*key));
        if let (Some(_), Some(second)) = (set_keys.next(), set_keys.next()) {
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
        let size = match (bytes, tokens) {
            (Some(bytes), _) => CacheSize::Bytes(bytes),
            (None, Some(tokens)) => CacheSize::Tokens(tokens as usize),
            (None, None) => CacheSize::DeviceFraction(fraction.unwrap_or(0.9)),
        };
        Self { size, block_size: block_size as usize, eight_bits }
    }

    /// Converts the settings for the engine's loader.
    ///
    /// # Errors
    /// If this program or the device does not support PagedAttention with these settings.
    pub(crate) fn engine_config(&self, device: &Device) -> Result<PagedAttentionConfig, String> {
        if !paged_attn_supported() {
            return Err("PagedAttention needs a program that was built for CUDA or Metal; this one was not".into());
        }
        if device.is_cpu() && !PAGED_ON_CPU {
            return Err("PagedAttention needs a GPU, and the model is on a CPU".into());
        }
        // Other programs need a machine's memory too, so a fraction of it is no safe size for the cache.
        if device.is_cpu() && matches!(self.size, CacheSize::DeviceFraction(_)) {
            return Err("PagedAttention on a CPU needs the size of its cache: give `memory` or `context_len`".into());
        }
        if device.is_cpu() && self.eight_bits {
            return Err(
                "PagedAttention on a CPU cannot store keys and values in eight bits: use cache_type = \"auto\"".into(),
            );
        }
        let memory = match self.size {
            CacheSize::Bytes(bytes) => MemoryGpuConfig::MbAmount((bytes / MIB) as usize),
            CacheSize::DeviceFraction(fraction) => MemoryGpuConfig::Utilization(fraction as f32),
            CacheSize::Tokens(tokens) => MemoryGpuConfig::ContextSize(tokens),
        };
        let cache_type = if self.eight_bits { PagedCacheType::F8E4M3 } else { PagedCacheType::Auto };
        PagedAttentionConfig::new(Some(self.block_size), memory, cache_type).map_err(|e| format!("{e:#}"))
    }
}

/// Configures the scheduler for a loaded pipeline: that of PagedAttention if the pipeline was loaded with it.
pub(crate) fn scheduler_config(pipeline: &dyn Pipeline, max_sequences: usize) -> SchedulerConfig {
    match &pipeline.get_metadata().cache_config {
        Some(config) => SchedulerConfig::PagedAttentionMeta { max_num_seqs: max_sequences, config: config.clone() },
        None => {
            let max_sequences = max_sequences.try_into().unwrap_or(std::num::NonZeroUsize::MIN);
            SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(max_sequences) }
        }
    }
}

/// Describes the KV cache of this pipeline for users.
pub(crate) fn describe_kv_cache(pipeline: &dyn Pipeline) -> String {
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
        let default = PagedCache { size: CacheSize::DeviceFraction(0.9), block_size: 32, eight_bits: false };
        assert_eq!(read("[mistralrs.paged_attention]"), Ok(Some(default)));
        let sized = PagedCache { size: CacheSize::Bytes(4 << 30), block_size: 16, eight_bits: true };
        let lines = "paged_attention = { memory = \"4GiB\", block_size = 16, cache_type = \"f8e4m3\" }";
        assert_eq!(read(lines), Ok(Some(sized)));
    }

    #[test]
    fn a_cpu_requires_the_size_of_the_cache() {
        let config = |lines: &str| read(lines).unwrap().unwrap().engine_config(&Device::Cpu).map(drop);
        let why = config("[mistralrs.paged_attention]").unwrap_err();
        assert!(!PAGED_ON_CPU || why.contains("give `memory` or `context_len`"), "{why}");
        let sized = config("paged_attention = { memory = \"64MiB\" }");
        assert_eq!(sized.is_ok(), PAGED_ON_CPU, "{sized:?}");
    }

    #[test]
    fn wrong_values_are_refused_with_their_line() {
        for (lines, position, message) in [
            ("memory = \"1KiB\"", "t.toml:9:", "1MiB"),
            ("memory = \"1GiB\"\ncontext_len = 4096", "t.toml:10:", "only one of"),
            ("memory_fraction = 1.5", "t.toml:9:", "1"),
            ("block_size = 12", "t.toml:9:", "8, 16 or 32"),
            ("cache_type = \"f16\"", "t.toml:9:", "f8e4m3"),
            ("blocksize = 8", "t.toml:9:", "block_size"),
        ] {
            let why = read(&format!("[mistralrs.paged_attention]\n{lines}")).expect_err(lines);
            assert!(why.contains(position) && why.contains(message), "{lines}: {why}");
        }
    }
}
