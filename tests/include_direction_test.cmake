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

file(REMOVE_RECURSE ${FOLDER})
foreach(room space roofline search supernet/data supernet/network supernet/inference supernet/training
    experiments/run experiments/report)
  file(WRITE ${FOLDER}/${room}/sound.h "#pragma once\n#include \"space/graph.h\"\n#include <vector>\n")
endforeach()
check("")

# plant(file include)
function(plant file include)
  file(WRITE ${FOLDER}/${file} "#include ${include}\n")
  check("${file}")
  file(REMOVE ${FOLDER}/${file})
endfunction()
plant(space/planted.cc "\"roofline/cost.h\"")
plant(search/planted.cc "\"supernet/network/executor.h\"")
plant(supernet/data/planted.cc "\"supernet/network/executor.h\"")
plant(supernet/inference/planted.h "\"supernet/training/train.h\"")
plant(experiments/run/planted.cc "\"experiments/report/report.h\"")
plant(experiments/report/planted.cc "\"experiments/evidence/ranking.h\"")
plant(roofline/planted.h "<torch/torch.h>")
plant(space/planted.cc "\"graph.h\"")
plant(experiments/hall/planted.cc "<vector>")
check("")
file(REMOVE_RECURSE ${FOLDER})
