"""Ships a server's lines to bluestone until the server's end.

This package is copied into every image and runs there alone: it uses only what Debian's python3-minimal brings (no
json, no gzip, no http), and nothing else of bluestone.

    journal, files     where lines come from      traces    joins the lines of a trace
    masks              hides secrets              json      as much of JSON as is needed
    queue              what is read and not acknowledged yet, on the disk
    connection         one HTTP connection        delivery  tries until lines are acknowledged
    main               the loop, and the end
"""
