# Plants one wrong include at a time in a small tree in FOLDER: SCRIPT must refuse it, naming its file,
# and accept the tree without it.
cmake_minimum_required(VERSION 3.25)

function(check expected)
  execute_process(COMMAND ${CMAKE_COMMAND} -D ROOT=${FOLDER} -P ${SCRIPT}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(expected STREQUAL "" AND NOT result EQUAL 0)
    message(FATAL_ERROR "a tree without a wrong include was refused:\n${output}")
  elseif(NOT expected STREQUAL "" AND (result EQUAL 0 OR NOT output MATCHES "${expected}"))
    message(FATAL_ERROR "${expected}: not refused, or not named:\n${output}")
  endif()
endfunction()

# What is right in every room; a bracket or semicolon in a comment is not part of an include.
set(sound "#pragma once
#include <vector>  // [1]; a list
# include \"space/graph.h\"
// includes: none
")
file(REMOVE_RECURSE ${FOLDER})
foreach(room space roofline search supernet/data supernet/network supernet/inference supernet/training
    experiments/run experiments/report)
  file(WRITE ${FOLDER}/${room}/sound.h "${sound}")
endforeach()
file(WRITE ${FOLDER}/build/generated.cc "#include \"anything.h\"\n")
file(WRITE ${FOLDER}/space/catalog/network.yaml "# include all\n")
check("")

# plant(file text)
function(plant file text)
  file(WRITE ${FOLDER}/${file} "${sound}${text}\n")
  check("${file}")
  file(REMOVE_RECURSE ${FOLDER}/${file})
endfunction()
# Rooms that may not meet.
plant(space/planted.cc "#include \"roofline/cost.h\"")
plant(search/planted.cc "#include \"supernet/network/executor.h\"")
plant(supernet/data/planted.cc "#include \"supernet/network/executor.h\"")
plant(supernet/inference/planted.h "#include \"supernet/training/train.h\"")
plant(experiments/run/planted.cc "#include \"experiments/report/report.h\"")
plant(experiments/report/planted.cc "#include \"experiments/evidence/ranking.h\"")
plant(space/planted.cc "#include \"tests/helpers.h\"")
# Libraries.
plant(roofline/planted.h "#include <torch/torch.h>")
plant(search/planted.h "#include<dnnl.hpp>")
plant(search/planted.cc "#include <nlohmann/json.hpp>")
# Other ways to write a path.
plant(space/planted.cc "#include \"graph.h\"")
plant(space/planted.cc "#include \"../search/tunas.h\"")
plant(space/planted.cc "#include \"space/../search/tunas.h\"")
plant(space/planted.cc "#include \"./space/graph.h\"")
plant(space/planted.cc "#include \" search/tunas.h\"")
plant(search/planted.cc "#include <supernet/network/executor.h>")
plant(search/planted.cc "#include <../supernet/network/executor.h>")
plant(search/planted.cc "#include TUNAS")
# Other ways to write the directive.
plant(search/planted.cc "  #  include\t\"supernet/network/executor.h\"")
plant(search/planted.cc "/* [ */ #include\"supernet/network/executor.h\"")
plant(search/planted.cc "#/**/include \"supernet/network/executor.h\"")
plant(search/planted.cc "#include \\\n\"supernet/network/executor.h\"")
plant(search/planted.cc "#include_next \"supernet/network/executor.h\"")
plant(search/planted.cc "// é\n#include <set>  // [\n#include \"supernet/network/executor.h\"")
# Files and rooms without a rule.
plant(experiments/hall/planted.cc "")
plant(supernet/data/hall/planted.h "")
plant(cellar/planted.cc "")
plant(builder/planted.cc "")
plant(search/planted.hpp "")
plant(search/planted.cpp "")
plant(space/planted.cc "#include \"space/graph.inc\"")
plant(space/graph.inc "")
file(REMOVE_RECURSE ${FOLDER}/experiments/hall ${FOLDER}/supernet/data/hall ${FOLDER}/cellar
  ${FOLDER}/builder)
check("")
file(REMOVE_RECURSE ${FOLDER}/search)
check("search is not there")
file(REMOVE_RECURSE ${FOLDER})
