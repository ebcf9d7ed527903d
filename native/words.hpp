// Words with their numbers, and texts cut into words by the rules of src/tidegate/text/rules.py, as far as those go for
// Latin letters and common punctuation.
#pragma once
#include <cstdint>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace tidegate {

// What a table finds in some texts.
struct CutTexts {
  std::vector<int32_t> numbers;  // of all words, text by text
  std::vector<int64_t> lengths;  // words of each text; kNotPlain of one that is left to other rules, with no numbers
  std::string strangers;         // words that were not known, each with a line feed behind it
};

class WordTable {
 public:
  static constexpr int64_t kNotPlain = -1;
  static constexpr int32_t kNew = -1;

  // `tags` are the names of HTML tags that count as spaces, in small letters.
  explicit WordTable(const std::vector<std::string>& tags) : tags_(tags.begin(), tags.end()) {}
  WordTable(const WordTable&) = delete;
  WordTable& operator=(const WordTable&) = delete;

  // The numbers of words; a new one has the next.
  std::vector<int32_t> add(const std::vector<std::string_view>& words);
  // All of them, in the order of their numbers.
  std::vector<std::string> words() const;

  int32_t size() const;

  // Cuts texts, in UTF-8; a word that is not known has the number `unknown`, or is added where that is kNew.
  CutTexts cut(const std::vector<std::string_view>& texts, int32_t unknown);

 private:
  static constexpr int32_t kFree = -1;

  int32_t count() const { return static_cast<int32_t>(ends_.size()) - 1; }
  std::string_view word(int32_t number) const {
    return {letters_.data() + ends_[number], ends_[number + 1] - ends_[number]};
  }
  int32_t* slot(std::string_view word);   // where its number is, or goes
  int32_t number(std::string_view word);  // of a word that is added if it is new

  const std::unordered_set<std::string> tags_;
  mutable std::shared_mutex mutex_;  // held alone by what adds, together by what only looks
  std::string letters_;              // of all words
  std::vector<size_t> ends_{0};      // of the words in letters_, behind a 0
  std::vector<int32_t> slots_ = std::vector<int32_t>(64, kFree);  // numbers by hash, open addressing
};

}  // namespace tidegate
