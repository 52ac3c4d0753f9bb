//! How an answer is generated.

/// How an answer is generated. `None`: as the engine does it without being told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The most tokens to generate; `None`: as many as the context has room for.
    pub max_tokens: Option<usize>,
    /// `None` or 0: greedy.
    pub temperature: Option<f64>,
    /// Independent answers to the one prompt.
    pub samples: usize,
    /// With a temperature: the one answer that belongs to this seed, whatever else the engine is doing ([`perturb`](super::perturb)). Not
    /// together with several samples, which would be equal.
    pub seed: Option<u64>,
    /// Only the likeliest tokens, as many.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens whose probabilities sum to this.
    pub top_p: Option<f64>,
    /// Only tokens of at least this share of the largest probability.
    pub min_p: Option<f64>,
    /// Taken from the logit of every token that was generated, by how often.
    pub frequency_penalty: Option<f32>,
    /// Taken from the logit of every token that was generated.
    pub presence_penalty: Option<f32>,
    /// Divides the logit of every token that was generated.
    pub repetition_penalty: Option<f32>,
    /// Tell the log-probability of each token, and of as many of the likeliest at its place; `None`: tell none.
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

    /// The temperature, if tokens are drawn.
    pub fn drawn(&self) -> Option<f64> {
        self.temperature.filter(|temperature| *temperature > 0.0)
    }
}

/// Penalties for repeated sequences ("don't repeat yourself"). `None`: the engine's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    /// Strength.
    pub multiplier: f32,
    /// Growth with the length of the repetition.
    pub base: Option<f32>,
    /// Tokens that may be repeated freely.
    pub allowed_length: Option<usize>,
    /// Texts at which a repetition ends.
    pub sequence_breakers: Option<Vec<String>>,
}
