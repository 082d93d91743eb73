"""Official layouts: the folders of public data sets as their authors publish them, read without any option.

One layout a file. Each says how its folder is recognised (`recognise`), what its authors say of its use (`licence`),
and which SELECTs turn its files into the pipeline's tables (`read`). All else is shared: which files a folder holds,
packed or not (`contents`), the relations that those SELECTs are made of (`workbench`), their result as Parquet
(`conversion`), and the source that the pipeline sees (`source`).
"""
