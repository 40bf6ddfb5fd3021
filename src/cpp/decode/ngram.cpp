#include "decode/ngram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace lstmcore {

NGramTable::NGramTable(const std::vector<std::string>& tokens, int begin, int end, int unknown_token, double unknown)
    : nodes{{std::numeric_limits<double>::quiet_NaN(), 0, 0, 0, -1, 0}},
      unknown(unknown),
      begin(begin),
      end(end),
      unknown_token(unknown_token) {
    for (std::size_t k = 0; k < tokens.size(); ++k) {
        int32_t node = 0;
        for (const unsigned char byte : tokens[k]) {
            const auto [at, made] = spelling.try_emplace(uint64_t(node) << 8 | byte, int32_t(spelled.size()));
            if (made) spelled.push_back(-1);
            node = at->second;
        }
        spelled[node] = int(k);
    }
}

void NGramTable::add(const std::vector<int>& tokens, double log_probability, double backoff) {
    uint32_t node = empty;
    for (const int token : tokens) {
        const auto [at, made] = children.try_emplace(uint64_t(node) << 32 | uint32_t(token), uint32_t(nodes.size()));
        if (made)
            nodes.push_back({std::numeric_limits<double>::quiet_NaN(), 0, node, empty, token, nodes[node].length + 1});
        node = at->second;
    }
    nodes[node].log_probability = log_probability, nodes[node].backoff = backoff;
}

void NGramTable::finish() {
    std::vector<uint32_t> by_length(nodes.size());
    std::iota(by_length.begin(), by_length.end(), 0);
    std::stable_sort(by_length.begin(), by_length.end(),
                     [&](uint32_t a, uint32_t b) { return nodes[a].length < nodes[b].length; });
    for (const uint32_t k : by_length) {
        Node& node = nodes[k];
        if (node.length < 2) continue;
        uint32_t context = nodes[node.parent].suffix;
        while (!(node.suffix = find(context, node.token)) && context) context = nodes[context].suffix;
    }
}

// p(w | h) is what is listed for h w; else backoff(h) p(w | h without its first token), where a context
// that is not listed has the backoff 1.
double NGramTable::score(uint32_t context, int token, uint32_t& next) const {
    if (token < 0) token = unknown_token;
    double sum = 0;
    next = empty;
    for (;; context = nodes[context].suffix) {
        if (const uint32_t found = token < 0 ? 0 : find(context, token)) {
            if (!next) next = found;  // the longest context, even where its probability is not listed
            if (!std::isnan(nodes[found].log_probability)) return std::min(sum + nodes[found].log_probability, 0.0);
        }
        if (context == empty) return std::min(sum + unknown, 0.0);
        sum += nodes[context].backoff;
    }
}

int32_t NGramTable::spell(int32_t node, const std::string& text) const {
    for (const unsigned char byte : text) {
        if (node < 0) break;
        const auto found = spelling.find(uint64_t(node) << 8 | byte);
        node = found == spelling.end() ? -1 : found->second;
    }
    return node;
}

NGramScorer::NGramScorer(const NGramTable& table, std::vector<std::string> labels_, int separator, double alpha,
                         double beta)
    : Scorer(alpha, beta), table(table), labels(std::move(labels_)), separator(separator) {
    for (const std::string& label : labels) tokens.push_back(table.token(table.spell(0, label)));
}

double NGramScorer::extension(int, const ModelState& state, int label) {
    uint32_t next;
    if (separator < 0) return weighted(table.score(state.context, tokens[label], next)) + beta;
    if (label != separator || state.word == 0) return 0;
    return weighted(table.score(state.context, table.token(state.word), next)) + beta;
}

ModelState NGramScorer::advance(const ModelState& state, int label) {
    ModelState next{state.context, 0};
    if (separator < 0)
        table.score(state.context, tokens[label], next.context);
    else if (label != separator)
        next.word = table.spell(state.word, labels[label]);
    else if (state.word != 0)
        table.score(state.context, table.token(state.word), next.context);
    return next;
}

double NGramScorer::end(const ModelState& state) {
    double sum = 0;
    uint32_t context = state.context, unused;
    if (separator >= 0 && state.word != 0)
        sum += weighted(table.score(state.context, table.token(state.word), context)) + beta;
    if (table.end >= 0) sum += weighted(table.score(context, table.end, unused));
    return sum;
}

}  // namespace lstmcore
