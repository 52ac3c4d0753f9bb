//! Converts responses of the engine to those of a session.
use mistralrs_core::{
    ChatCompletionChunkResponse, ChatCompletionResponse, CompletionChunkResponse, CompletionResponse,
    Logprobs as EngineLogprobs, ResponseLogprob, ToolCallResponse, Usage as EngineUsage,
};
use replay_core::session::{Alternative, Choice, Piece, TokenLogProb, ToolCall, Usage};

/// Converts a chat completion: its choices in order, and the usage.
pub(super) fn convert_chat(done: ChatCompletionResponse) -> (Vec<Choice>, Usage) {
    let mut choices = done.choices;
    choices.sort_by_key(|choice| choice.index);
    let choice = |choice: mistralrs_core::Choice| Choice {
        text: choice.message.content.unwrap_or_default(),
        reasoning: choice.message.reasoning_content,
        tool_calls: choice.message.tool_calls.into_iter().flatten().map(tool_call).collect(),
        finish_reason: choice.finish_reason,
        tokens: tokens(choice.logprobs),
    };
    (choices.into_iter().map(choice).collect(), usage(&done.usage))
}

/// Converts a text completion: its choices in order, and the usage.
pub(super) fn convert_text(done: CompletionResponse) -> (Vec<Choice>, Usage) {
    let mut choices = done.choices;
    choices.sort_by_key(|choice| choice.index);
    let choice = |choice: mistralrs_core::CompletionChoice| Choice {
        text: choice.text,
        finish_reason: choice.finish_reason,
        tokens: tokens(choice.logprobs),
        ..Choice::default()
    };
    (choices.into_iter().map(choice).collect(), usage(&done.usage))
}

/// Converts a chunk of a chat completion, whose sample is number `choice` of the request. The last chunk has the usage.
pub(super) fn convert_chat_chunk(choice: usize, chunk: ChatCompletionChunkResponse) -> (Vec<Piece>, Option<Usage>) {
    let piece = |part: mistralrs_core::ChunkChoice| Piece {
        choice,
        text: part.delta.content.unwrap_or_default(),
        reasoning: part.delta.reasoning_content,
        tool_calls: part.delta.tool_calls.into_iter().flatten().map(tool_call).collect(),
        token: part.logprobs.map(token),
        finish_reason: part.finish_reason,
    };
    (chunk.choices.into_iter().map(piece).collect(), chunk.usage.as_ref().map(usage))
}

/// Converts a chunk of a text completion, whose sample is number `choice` of the request. The engine gives no usage here.
pub(super) fn convert_text_chunk(choice: usize, chunk: CompletionChunkResponse) -> Vec<Piece> {
    let piece = |part: mistralrs_core::CompletionChunkChoice| Piece {
        choice,
        text: part.text,
        token: part.logprobs.map(token),
        finish_reason: part.finish_reason,
        ..Piece::default()
    };
    chunk.choices.into_iter().map(piece).collect()
}

fn tokens(log_probs: Option<EngineLogprobs>) -> Vec<TokenLogProb> {
    log_probs.and_then(|log_probs| log_probs.content).unwrap_or_default().into_iter().map(token).collect()
}

fn token(token: ResponseLogprob) -> TokenLogProb {
    let alternatives = token.top_logprobs.into_iter().map(|other| Alternative {
        id: other.token,
        text: other.bytes.unwrap_or_default(),
        log_prob: other.logprob,
    });
    TokenLogProb { text: token.token, log_prob: token.logprob, alternatives: alternatives.collect() }
}

fn tool_call(call: ToolCallResponse) -> ToolCall {
    ToolCall { id: call.id, name: call.function.name, arguments: call.function.arguments }
}

fn usage(usage: &EngineUsage) -> Usage {
    Usage {
        completion_tokens: usage.completion_tokens,
        prompt_tokens: usage.prompt_tokens,
        total_tokens: usage.total_tokens,
        avg_tok_per_sec: usage.avg_tok_per_sec,
        avg_prompt_tok_per_sec: usage.avg_prompt_tok_per_sec,
        avg_compl_tok_per_sec: usage.avg_compl_tok_per_sec,
        total_time_sec: usage.total_time_sec,
        total_prompt_time_sec: usage.total_prompt_time_sec,
        total_completion_time_sec: usage.total_completion_time_sec,
    }
}
