//! How an answer is generated.

/// Parameters of sampling. `None` is the engine's default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Maximum number of tokens to generate; `None`: up to the end of the context.
    pub max_tokens: Option<usize>,
    /// Sampling temperature; `None` or 0: greedy.
    pub temperature: Option<f64>,
    /// Number of independent answers to the prompt.
    pub samples: usize,
    /// Seed of the sampling with a temperature ([`perturb`](super::perturb)): the answer does not depend on what else the engine is doing.
    /// Sample number `i` of several has the seed plus `i`.
    pub seed: Option<u64>,
    /// Sample from this many of the likeliest tokens only.
    pub top_k: Option<usize>,
    /// Sample from the likeliest tokens whose probabilities sum to this only.
    pub top_p: Option<f64>,
    /// Sample from tokens of at least this share of the largest probability only.
    pub min_p: Option<f64>,
    /// Subtracted from the logit of a generated token for each of its occurrences.
    pub frequency_penalty: Option<f32>,
    /// Subtracted once from the logit of every generated token.
    pub presence_penalty: Option<f32>,
    /// Divides the logit of every generated token.
    pub repetition_penalty: Option<f32>,
    /// Return the log-probability of each token, and of this many of the likeliest tokens at its position; `None`: return none.
    pub log_probs: Option<usize>,
}

impl Default for Sampling {
    /// One greedy answer of up to 256 tokens, with their log-probabilities.
    fn default() -> Self {
        Self::greedy(256)
    }
}

impl Sampling {
    /// One greedy answer of up to `max_tokens` tokens, with their log-probabilities.
    pub const fn greedy(max_tokens: usize) -> Self {
        Self {
            max_tokens: Some(max_tokens),
            temperature: None,
            samples: 1,
            seed: None,
            top_k: None,
            top_p: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            repetition_penalty: None,
            log_probs: Some(0),
        }
    }

    /// The temperature, if it is above 0, so that tokens are sampled.
    pub fn positive_temperature(&self) -> Option<f64> {
        self.temperature.filter(|temperature| *temperature > 0.0)
    }
}

/// Penalties for repeated sequences ("don't repeat yourself"). `None`: the engine's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    /// Factor of the penalty.
    pub multiplier: f32,
    /// Base of the penalty, which grows exponentially with the length of the repetition.
    pub base: Option<f32>,
    /// Length of a repetition without a penalty, in tokens.
    pub allowed_length: Option<usize>,
    /// Texts that end a repetition.
    pub sequence_breakers: Option<Vec<String>>,
}
