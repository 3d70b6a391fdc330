# Shortens the compilation of llama-cpp-python. `.ci/setup` passes this file to CMake, which includes
# it after `project(llama_cpp)`. The compiler's optimisation options stay as they are.

# The binding loads libllama, libggml and libmtmd only, but forces LLAMA_BUILD_COMMON to ON in the
# cache, so that -DLLAMA_BUILD_COMMON=OFF has no effect. That library (command-line arguments, chat
# parsers, an HTTP client) is half of the work. A normal variable hides the cache entry (CMP0126).
set(LLAMA_BUILD_COMMON OFF)

# Fewer and larger compilations, set when all targets are defined.
function(idealprompt_join_sources)
    if(TARGET mtmd)
        # One model per file upstream: compiled in groups, like the models of libllama already are.
        get_target_property(sources mtmd SOURCES)
        list(FILTER sources EXCLUDE REGEX "^models/")
        get_target_property(folder mtmd SOURCE_DIR)
        list(TRANSFORM sources PREPEND "${folder}/")
        set_source_files_properties(
            ${sources} TARGET_DIRECTORY mtmd PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        set_target_properties(mtmd PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
    endif()
    if(TARGET llama)
        target_precompile_headers(llama PRIVATE
            <algorithm> <array> <cmath> <cstdint> <cstring> <functional> <map> <memory> <regex>
            <set> <sstream> <stdexcept> <string> <unordered_map> <vector>)
    endif()
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL idealprompt_join_sources)
