#include "words.hpp"

#include <array>
#include <cstring>
#include <mutex>

namespace tidegate {
namespace {

enum class Kind : uint8_t { other, space, letter, mark, underscore, apostrophe, quote };

// The kinds of the first 256 characters of Unicode. Left to other rules are NUL and the soft hyphen, which are
// invisible, and superscripts and fractions, which are neither letters nor marks.
constexpr std::array<Kind, 256> latin_kinds() {
  std::array<Kind, 256> kinds{};
  for (int c = 0; c < 256; ++c) {
    const bool ascii = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool accented = c >= 0xc0 && c != 0xd7 && c != 0xf7;
    kinds[c] = ascii || accented || c == 0xaa || c == 0xb5 || c == 0xba ? Kind::letter : Kind::mark;
  }
  for (const int c : {0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0}) kinds[c] = Kind::space;
  for (const int c : {0x27, 0x60, 0x91, 0x92, 0xb4}) kinds[c] = Kind::apostrophe;
  for (const int c : {0x22, 0x93, 0x94}) kinds[c] = Kind::quote;
  for (const int c : {0x00, 0xad, 0xb2, 0xb3, 0xb9, 0xbc, 0xbd, 0xbe}) kinds[c] = Kind::other;
  kinds['_'] = Kind::underscore;
  return kinds;
}
constexpr std::array<Kind, 256> kLatin = latin_kinds();

// A character as it is written in UTF-8.
struct Character {
  Kind kind;
  int bytes;
};

Character character(const char* at) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(at[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {kLatin[first], 1};
  if (first < 0xc4) return {kLatin[(first & 3) << 6 | (byte(1) & 63)], 2};
  if (first != 0xe2) return {Kind::other, 1};
  const int code = 0x2000 | (byte(1) & 63) << 6 | (byte(2) & 63);
  if (code == 0x2018 || code == 0x2019 || code == 0x201b) return {Kind::apostrophe, 3};
  if (code == 0x201c || code == 0x201d) return {Kind::quote, 3};
  return {(code >= 0x2010 && code <= 0x2027) || code == 0x20ac ? Kind::mark : Kind::other, 3};  // dashes, …, €
}

// Small letters of ASCII; 0 for what is looked at more closely.
constexpr std::array<char, 256> small_letters() {
  std::array<char, 256> small{};
  for (int c = 1; c < 128; ++c) small[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return small;
}
constexpr std::array<char, 256> kSmall = small_letters();

// Writes a text in small letters, with a NUL behind it; false if it has a character of another kind.
bool lower(std::string_view text, std::string& lowered) {
  lowered.resize(text.size());
  const char* from = text.data();
  char* to = lowered.data();
  for (const char* const end = from + text.size(); from < end;) {
    if ((*to = kSmall[static_cast<uint8_t>(*from)])) {
      ++from;
      ++to;
      continue;
    }
    const auto [kind, bytes] = character(from);
    if (kind == Kind::other) return false;
    const bool capital = *from == '\xc3' && kind == Kind::letter && static_cast<uint8_t>(from[1]) < 0x9f;
    std::memcpy(to, from, static_cast<size_t>(bytes));
    if (capital) to[1] = static_cast<char>(to[1] + 32);
    from += bytes;
    to += bytes;
  }
  return true;
}

// One text, as `lower` writes it. The NUL behind it is of the kind `other`, where every search ends.
class Cutter {
 public:
  Cutter(const std::string& text, const std::unordered_set<std::string>& tags) : text_(text), tags_(tags) {}

  // Calls found(word, written) for each word, as the rules have it and as the text writes it.
  template <class Found>
  void cut(const Found& found) const {
    const char* at = text_.data();
    for (const char* const end = at + text_.size(); at < end;) {
      const auto [kind, bytes] = character(at);
      const char* next = at + bytes;
      switch (kind) {
        case Kind::letter: {
          Character after = character(next);
          for (; after.kind == Kind::letter; after = character(next)) next += after.bytes;
          const char* const t = next + after.bytes;
          if (next[-1] == 'n' && after.kind == Kind::apostrophe && *t == 't' && !in_word(t + 1)) {
            if (next - 1 > at) found(view(at, next - 1), view(at, next - 1));
            found("n't", view(next - 1, t + 1));
            next = t + 1;
          } else {
            found(view(at, next), view(at, next));
          }
          break;
        }
        case Kind::apostrophe: {
          const std::string_view word = contraction(next);
          next += word.size() - 1;
          found(word, view(at, next));
          break;
        }
        case Kind::quote:
          found("\"", view(at, next));
          break;
        case Kind::mark:
        case Kind::underscore:
          if (const char* const past = *at == '<' ? past_tag(at) : nullptr)
            next = past;
          else
            found(view(at, next), view(at, next));
          break;
        case Kind::space:
        case Kind::other:
          break;
      }
      at = next;
    }
  }

 private:
  static std::string_view view(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }
  static bool in_word(const char* at) {
    const Kind kind = character(at).kind;
    return kind == Kind::letter || kind == Kind::underscore;
  }

  // The word that an apostrophe begins, given what follows it.
  std::string_view contraction(const char* after) const {
    const std::string_view rest = view(after, text_.data() + text_.size());
    for (const std::string_view word : {"'s", "'re", "'ve", "'ll", "'d", "'m"})
      if (rest.substr(0, word.size() - 1) == word.substr(1) && !in_word(after + word.size() - 1)) return word;
    return "'";
  }

  // The end of the tag, comment or document type that begins here; null if none does.
  const char* past_tag(const char* at) const {
    const std::string_view rest = view(at, text_.data() + text_.size());
    for (const std::string_view begins : {"<!--", "<!doctype"}) {
      if (rest.substr(0, begins.size()) != begins) continue;
      const size_t end = rest.find_first_of("<>", begins.size());
      if (end == rest.npos || rest[end] == '<') return nullptr;
      const bool closed = end >= begins.size() + 2 && rest.substr(end - 2, 2) == "--";
      return begins == "<!doctype" || closed ? at + end + 1 : nullptr;
    }
    const char* const name = at + (at[1] == '/' ? 2 : 1);
    const char* p = name;
    while ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')) ++p;
    if (tags_.count(std::string(name, p)) == 0) return nullptr;
    if (const Character first = character(p); first.kind == Kind::space)
      if (const char* const past = past_values(p + first.bytes)) return past;
    for (Character c = character(p); c.kind == Kind::space || *p == '/'; c = character(p)) p += c.bytes;
    return *p == '>' ? p + 1 : nullptr;
  }

  // The end of a tag whose names and values begin here, of which one at least has a value; null if it is none.
  static const char* past_values(const char* p) {
    while (*p && *p != '<' && *p != '>' && *p != '=') ++p;
    if (*p != '=') return nullptr;
    while (*p && *p != '<' && *p != '>') {
      const char* close = p + 1;
      if (*p == '"' || *p == '\'') {
        while (*close && *close != '<' && *close != *p) ++close;
        p = *close == *p ? close : p;  // a quotation mark that is not closed is a character like others
      }
      ++p;
    }
    return *p == '>' ? p + 1 : nullptr;
  }

  const std::string& text_;
  const std::unordered_set<std::string>& tags_;
};

}  // namespace

int32_t* WordTable::slot(std::string_view word) {
  uint64_t hash = 0xcbf29ce484222325;     // FNV-1a
  for (const char c : word) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  const size_t last = slots_.size() - 1;  // of a power of two
  for (size_t place = (hash ^ hash >> 32) & last;; place = (place + 1) & last)
    if (const int32_t number = slots_[place]; number == kFree || this->word(number) == word) return &slots_[place];
}

int32_t WordTable::number(std::string_view word) {
  int32_t* found = slot(word);
  if (*found != kFree) return *found;
  const int32_t next = count();
  letters_.append(word);
  ends_.push_back(letters_.size());
  *found = next;
  if (ends_.size() * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, kFree);
    for (int32_t i = 0; i < count(); ++i) *slot(this->word(i)) = i;
  }
  return next;
}

std::vector<int32_t> WordTable::add(const std::vector<std::string_view>& words) {
  const std::unique_lock alone(mutex_);
  std::vector<int32_t> numbers;
  for (const std::string_view word : words) numbers.push_back(number(word));
  return numbers;
}

int32_t WordTable::size() const {
  const std::shared_lock together(mutex_);
  return count();
}

std::vector<std::string> WordTable::words() const {
  const std::shared_lock together(mutex_);
  std::vector<std::string> all;
  for (int32_t i = 0; i < count(); ++i) all.emplace_back(word(i));
  return all;
}

CutTexts WordTable::cut(const std::vector<std::string_view>& texts, int32_t unknown) {
  std::unique_lock alone(mutex_, std::defer_lock);
  std::shared_lock together(mutex_, std::defer_lock);
  unknown == kNew ? alone.lock() : together.lock();
  CutTexts result;
  std::string lowered;
  for (const std::string_view text : texts) {
    if (!lower(text, lowered)) {
      result.lengths.push_back(kNotPlain);
      continue;
    }
    const size_t before = result.numbers.size();
    Cutter(lowered, tags_).cut([&](std::string_view word, std::string_view written) {
      const int32_t found = unknown == kNew ? number(word) : *slot(word);
      result.numbers.push_back(found == kFree ? unknown : found);
      if (found == kFree) result.strangers.append(written).push_back('\n');
    });
    result.lengths.push_back(static_cast<int64_t>(result.numbers.size() - before));
  }
  return result;
}

}  // namespace tidegate
